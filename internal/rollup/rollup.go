// Package rollup adds up the events of an account-day.
//
// It owns what the total, the count and the digest of an account-day are. It does not own where events come from
// or where totals go. It is pure: no I/O, no clock. A Fold is for one goroutine.
package rollup

import (
	"errors"

	"daybook/internal/billing"
)

// ErrOverflow means that a sum does not fit DECIMAL(38,18). The account-day has no total then: nothing is cut or
// rounded.
var ErrOverflow = errors.New("total outside DECIMAL(38,18)")

// ServiceTotal is one row of account_service_day_cost within an account-day.
type ServiceTotal struct {
	Service billing.ServiceName
	Total   billing.Money
	Events  int64
}

// Totals are the sums of one account-day.
type Totals struct {
	Total    billing.Money
	Events   int64
	Services []ServiceTotal // ascending by service
	// Digest is the sum, modulo 2^128, of the events' content digests, which cover their ids. It does not
	// depend on the order of the events: two states that hold the same events agree on it. It is zero if
	// Fold.NoDigest is set.
	Digest billing.Digest
}
