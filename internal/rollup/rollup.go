// Package rollup folds the winners of an account-day into its totals. It is
// pure, and a fold's result can be merged with another's, so that several
// states can hold parts of one account-day.
package rollup

import "daybook/internal/billing"

// ServiceTotal is one row of account_service_day_cost within an account-day.
type ServiceTotal struct {
	Service billing.ServiceName
	Total   billing.Money
	Events  int64
}

// Totals is what an account-day comes to.
type Totals struct {
	Total    billing.Money
	Events   int64
	Services []ServiceTotal // ascending by service
	// Digest is an order-independent digest of the events' ids and contents:
	// two states that hold the same events agree on it.
	Digest billing.Digest
}

// Fold adds up the events of one account-day. The zero value is empty and
// ready. Not safe for concurrent use.
type Fold struct{}

// Add takes one winner. It fails with ErrOverflow.
func (f *Fold) Add(e *billing.Event) error { panic("not built yet") }

// Totals returns what was added since the last Reset.
func (f *Fold) Totals() Totals { panic("not built yet") }

// Reset empties the fold and keeps its memory.
func (f *Fold) Reset() { panic("not built yet") }

// Merge adds the parts of one account-day that two states hold.
func Merge(a, b Totals) (Totals, error) { panic("not built yet") }
