package rollup

import (
	"cmp"
	"slices"
	"strings"

	"daybook/internal/billing"
)

// maxKnown is how many services a fold remembers from one account-day to the next.
const maxKnown = 1 << 14

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
	round  int            // counts Resets
	known  map[billing.ServiceName]*service
	last   *service // of the event before: runs of one service are common
}

// service is one that was seen, now or before the last Reset.
type service struct {
	name  billing.ServiceName
	row   int
	round int // in which row is its row
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
	*f = Fold{NoDigest: f.NoDigest, rows: f.rows[:0], round: f.round + 1, known: f.known, last: f.last}
	if len(f.known) > maxKnown {
		f.known, f.last = nil, nil
	}
}

// row finds the row of a service, or makes it.
func (f *Fold) row(name billing.ServiceName) int {
	s := f.last
	if s == nil || s.name != name {
		if s = f.known[name]; s == nil {
			s = &service{name: billing.ServiceName(strings.Clone(string(name))), round: -1}
			if f.known == nil {
				f.known = map[billing.ServiceName]*service{}
			}
			f.known[s.name] = s
		}
		f.last = s
	}
	if s.round != f.round {
		s.row, s.round = len(f.rows), f.round
		f.rows = append(f.rows, ServiceTotal{Service: s.name})
	}
	return s.row
}
