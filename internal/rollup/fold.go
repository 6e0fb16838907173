package rollup

import (
	"cmp"
	"slices"
	"strings"

	"daybook/internal/billing"
)

// Fold adds up the events of one account-day. The zero value is empty and
// ready. It keeps nothing that belongs to an event it was given. Not safe for
// concurrent use.
type Fold struct {
	// NoDigest leaves Totals.Digest zero, which makes Add several times
	// faster. Set it before the first Add.
	NoDigest bool

	total  billing.Money
	events int64
	digest billing.Digest
	rows   []ServiceTotal // in the order of first sight
	index  map[billing.ServiceName]int
	last   int // the row of the event before: runs of one service are common
}

// Add takes one winner. Its only error is ErrOverflow, which leaves the fold
// as it was.
func (f *Fold) Add(e *billing.Event) error {
	total, ok := f.total.Add(e.Cost)
	if !ok {
		return ErrOverflow
	}
	row := &f.rows[f.row(e.Service)]
	service, ok := row.Total.Add(e.Cost)
	if !ok {
		return ErrOverflow // not of a new row: one cost is in range
	}
	f.total, row.Total = total, service
	f.events++
	row.Events++
	if !f.NoDigest {
		f.digest = f.digest.Plus(e.Digest())
	}
	return nil
}

// Totals returns what was added since the last Reset. The caller owns it.
func (f *Fold) Totals() Totals {
	services := slices.Clone(f.rows)
	slices.SortFunc(services, func(a, b ServiceTotal) int { return cmp.Compare(a.Service, b.Service) })
	return Totals{Total: f.total, Events: f.events, Services: services, Digest: f.digest}
}

// Reset empties the fold and keeps its memory and its settings.
func (f *Fold) Reset() {
	clear(f.index)
	*f = Fold{NoDigest: f.NoDigest, rows: f.rows[:0], index: f.index}
}

// row finds the row of a service, or makes it.
func (f *Fold) row(s billing.ServiceName) int {
	if f.last < len(f.rows) && f.rows[f.last].Service == s {
		return f.last
	}
	row, ok := f.index[s]
	if !ok {
		if f.index == nil {
			f.index = map[billing.ServiceName]int{}
		}
		s = billing.ServiceName(strings.Clone(string(s)))
		row = len(f.rows)
		f.index[s] = row
		f.rows = append(f.rows, ServiceTotal{Service: s})
	}
	f.last = row
	return row
}
