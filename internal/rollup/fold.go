package rollup

import (
	"cmp"
	"slices"
	"strings"

	"daybook/internal/billing"
	"daybook/internal/intern"
)

// maxKnown is how many services a fold keeps from one account-day to the next.
const maxKnown = 1 << 14

// maxKnownPerRow bounds the known services per service of an account-day up to which Totals picks the account-day's
// services out of the known ones, which are in order; with more, it sorts the account-day's.
const maxKnownPerRow = 8

// Fold adds up the events of one account-day. The zero value is empty and ready to use. It keeps no memory of the
// events that it is given. It is not safe for concurrent use.
type Fold struct {
	// NoDigest leaves Totals.Digest zero, which makes Add several times faster. Set it before the first Add.
	NoDigest bool

	total  billing.Money
	events int64
	digest billing.Digest
	rows   []ServiceTotal // in the order in which the services came
	round  int            // number of Resets
	known  map[billing.ServiceName]*service
	order  []*service             // those known, ascending
	recent [intern.Slots]*service // a cache of known
}

// service is a service of this account-day or of an earlier one.
type service struct {
	name  billing.ServiceName
	row   int // its place in Fold.rows, if round is Fold.round
	round int
}

// Add adds one event. Its only error is ErrOverflow, which leaves the fold as it was.
func (f *Fold) Add(e *billing.Event) error {
	total, ok := f.total.Add(e.Cost)
	if !ok {
		return ErrOverflow
	}
	row := &f.rows[f.row(e.Service)]
	service, ok := row.Total.Add(e.Cost)
	if !ok {
		return ErrOverflow // never of a new row: the cost alone is in range
	}
	f.total, row.Total = total, service
	f.events++
	row.Events++
	if !f.NoDigest {
		f.digest = f.digest.Plus(e.Digest())
	}
	return nil
}

// Totals returns the totals of the events added since the last Reset. The caller owns them.
func (f *Fold) Totals() Totals {
	services := make([]ServiceTotal, 0, len(f.rows))
	if len(f.order) <= maxKnownPerRow*len(f.rows) {
		for _, s := range f.order {
			if s.round == f.round {
				services = append(services, f.rows[s.row])
			}
		}
	} else {
		services = append(services, f.rows...)
		slices.SortFunc(services, func(a, b ServiceTotal) int { return cmp.Compare(a.Service, b.Service) })
	}
	return Totals{Total: f.total, Events: f.events, Services: services, Digest: f.digest}
}

// Reset empties the fold and keeps its memory and its settings.
func (f *Fold) Reset() {
	f.total, f.events, f.digest, f.rows = billing.Money{}, 0, billing.Digest{}, f.rows[:0]
	f.round++
	if len(f.known) > maxKnown {
		f.known, f.order, f.recent = nil, nil, [intern.Slots]*service{}
	}
}

// row returns the place of a service in f.rows, and adds it if it is new to the account-day.
func (f *Fold) row(name billing.ServiceName) int {
	at := &f.recent[0]
	if name != "" {
		at = &f.recent[intern.Slot(name)]
	}
	s := *at
	if s == nil || s.name != name {
		s = f.find(name)
		*at = s
	}
	if s.round != f.round {
		s.row, s.round = len(f.rows), f.round
		f.rows = append(f.rows, ServiceTotal{Service: s.name})
	}
	return s.row
}

// find returns the service with a name, and adds it to the known ones if it is new.
func (f *Fold) find(name billing.ServiceName) *service {
	if s := f.known[name]; s != nil {
		return s
	}
	s := &service{name: billing.ServiceName(strings.Clone(string(name))), round: -1}
	if f.known == nil {
		f.known = map[billing.ServiceName]*service{}
	}
	f.known[s.name] = s
	i, _ := slices.BinarySearchFunc(f.order, s.name, func(s *service, n billing.ServiceName) int { return cmp.Compare(s.name, n) })
	f.order = slices.Insert(f.order, i, s)
	return s
}
