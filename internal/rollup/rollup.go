// Package rollup folds the winners of an account-day into its totals. It owns
// what a total, a count and the digest of an account-day are; it does not own
// where events come from or where totals go. It is pure: no I/O, no clock. A
// fold's result can be merged with another's, so that several states can hold
// parts of one account-day.
package rollup

import (
	"errors"

	"daybook/internal/billing"
)

// ErrOverflow: a sum left DECIMAL(38,18). The books of that account-day cannot
// be stated; nothing is cut or rounded.
var ErrOverflow = errors.New("total outside DECIMAL(38,18)")

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
	// Digest is an order-independent digest of the events: the sum, modulo
	// 2^128, of their content digests, which cover the id. Two states that
	// hold the same events agree on it. Zero when the fold made none.
	Digest billing.Digest
}

// Merge adds the parts of one account-day that two states hold. Its only error
// is ErrOverflow.
func Merge(a, b Totals) (Totals, error) {
	total, ok := a.Total.Add(b.Total)
	if !ok {
		return Totals{}, ErrOverflow
	}
	m := Totals{Total: total, Events: a.Events + b.Events, Digest: a.Digest.Plus(b.Digest)}
	for x, y := a.Services, b.Services; len(x) > 0 || len(y) > 0; {
		switch {
		case len(y) == 0 || len(x) > 0 && x[0].Service < y[0].Service:
			m.Services, x = append(m.Services, x[0]), x[1:]
		case len(x) == 0 || y[0].Service < x[0].Service:
			m.Services, y = append(m.Services, y[0]), y[1:]
		default:
			sum, ok := x[0].Total.Add(y[0].Total)
			if !ok {
				return Totals{}, ErrOverflow
			}
			m.Services = append(m.Services, ServiceTotal{x[0].Service, sum, x[0].Events + y[0].Events})
			x, y = x[1:], y[1:]
		}
	}
	return m, nil
}
