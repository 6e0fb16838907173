package publish

import (
	"slices"

	"daybook/internal/billing"
	"daybook/internal/lake"
)

// edits are changes to the content of the newest release. Each function gets the rows of one day and returns those
// to write instead; a nil function leaves its dataset as it is.
type edits struct {
	day         string
	accountDays func([]lake.AccountDayRow) []lake.AccountDayRow
	serviceDays func([]lake.ServiceDayRow) []lake.ServiceDayRow
	events      func([]lake.EventRow) []lake.EventRow
	manifest    func(*lake.Manifest)
}

// republish publishes a copy of the newest release with edits, past the publisher and its checks. All hashes and
// the seal of the manifest are right, so that only a comparison of numbers can find the edit.
func (w *world) republish(e edits) {
	w.t.Helper()
	s, cur := w.series(), w.current()
	unlock, err := s.Lock()
	w.check(err)
	defer func() { w.check(unlock()) }()
	m := *cur
	m.Release, m.Previous, m.Changes = cur.Release+1, cur.Release, lake.ChangeSummary{}
	m.Days = slices.Clone(cur.Days)
	b, err := s.Begin(m.Release, cur)
	w.check(err)
	edited := map[lake.Dataset]bool{
		lake.AccountDays: e.accountDays != nil, lake.ServiceDays: e.serviceDays != nil, lake.Events: e.events != nil,
	}
	for _, f := range cur.Files {
		if written := edited[f.Dataset] && f.IsOf(f.Dataset, day(e.day)); f.Rows > 0 && !written {
			w.check(b.Link(f))
		}
	}
	if e.accountDays != nil {
		rows, err := s.ReadAccountDays(cur, day(e.day))
		w.check(err)
		_, err = b.WriteAccountDays(day(e.day), e.accountDays(rows))
		w.check(err)
	}
	if e.serviceDays != nil {
		rows, err := s.ReadServiceDays(cur, day(e.day))
		w.check(err)
		_, err = b.WriteServiceDays(day(e.day), e.serviceDays(rows))
		w.check(err)
	}
	if e.events != nil {
		rows := e.events(w.events(cur, e.day))
		_, err = b.WriteEvents(day(e.day), 0, lake.Segment{Rows: func(yield func(*lake.EventRow, error) bool) {
			for i := range rows {
				rows[i].Digest = rows[i].Event.Digest()
				if !yield(&rows[i], nil) {
					return
				}
			}
		}})
		w.check(err)
	}
	if e.manifest != nil {
		e.manifest(&m)
	}
	w.check(b.Publish(&m))
}

// events are the released events of a day.
func (w *world) events(m *lake.Manifest, d string) (rows []lake.EventRow) {
	w.t.Helper()
	for _, f := range m.EventFiles(day(d)) {
		for row, err := range w.series().ReadEvents(m, f) {
			w.check(err)
			rows = append(rows, *row)
		}
	}
	return rows
}

// entryOf is a manifest's entry of a day, which must be there.
func entryOf(m *lake.Manifest, d string) *lake.DayEntry {
	return &m.Days[slices.IndexFunc(m.Days, func(e lake.DayEntry) bool { return e.Day == day(d) })]
}

// overstate adds an amount to a released account-day, to its first service-day and to the total of its day, all
// of which agree then, and leaves the events as they are.
func (w *world) overstate(d, account, amount string) {
	w.t.Helper()
	w.republish(edits{
		day: d,
		accountDays: func(rows []lake.AccountDayRow) []lake.AccountDayRow {
			for i := range rows {
				if rows[i].Account == billing.AccountID(account) {
					rows[i].Total = sum(rows[i].Total, amount)
				}
			}
			return rows
		},
		serviceDays: func(rows []lake.ServiceDayRow) []lake.ServiceDayRow {
			for i := range rows {
				if rows[i].Account == billing.AccountID(account) {
					rows[i].Total = sum(rows[i].Total, amount)
					break
				}
			}
			return rows
		},
		manifest: func(m *lake.Manifest) { e := entryOf(m, d); e.Total = sum(e.Total, amount) },
	})
}

// usd is an amount written in decimals.
func usd(text string) billing.Money {
	var m billing.Money
	if err := m.UnmarshalText([]byte(text)); err != nil {
		panic(err)
	}
	return m
}

func sum(m billing.Money, amount string) billing.Money {
	m, ok := m.Add(usd(amount))
	if !ok {
		panic("overflow")
	}
	return m
}
