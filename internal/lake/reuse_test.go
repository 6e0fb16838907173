package lake

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"daybook/internal/billing"
)

// dayOfEvents is the events of one day by account.
type dayOfEvents struct {
	day  billing.Day
	rows map[billing.AccountID][]EventRow
}

func (e *dayOfEvents) set(t testing.TB, r *rand.Rand, a billing.AccountID, n int) {
	rows := make([]EventRow, n)
	for i := range rows {
		row := event(t, e.day, string(a), fmt.Sprintf("%08d", i), fmt.Sprintf("%d.%04d", r.IntN(2000)-1000, r.IntN(10_000)))
		row.Event.Service = billing.ServiceName(fmt.Sprint("service ", r.IntN(5)))
		row.Event.Region = billing.Region([]string{"", "eu-west-1", "us-east-1"}[r.IntN(3)])
		row.Event.PricingModel = billing.PricingModel([]string{"", "Spot"}[r.IntN(2)])
		if row.Event.Attributes = ""; r.IntN(2) == 0 {
			row.Event.Attributes = fmt.Sprintf(`{"n":%d}`, r.IntN(1000))
		}
		row.Digest = row.Event.Digest()
		rows[i] = row
	}
	e.rows[a] = rows
}

// accounts returns the accounts with events, in ascending order, and the number of events of each.
func (e *dayOfEvents) accounts() (accounts []billing.AccountID, counts []int64) {
	for a, rows := range e.rows {
		if len(rows) > 0 {
			accounts = append(accounts, a)
		}
	}
	slices.Sort(accounts)
	for _, a := range accounts {
		counts = append(counts, int64(len(e.rows[a])))
	}
	return accounts, counts
}

func (e *dayOfEvents) of(accounts []billing.AccountID) []EventRow {
	var rows []EventRow
	for _, a := range accounts {
		rows = append(rows, e.rows[a]...)
	}
	return rows
}

// TestReusedRowGroupsEqualRewritten: a file that reuses row groups of a released one has the bytes, and the manifest
// entry, of a file that is written from all rows. It reads back without a fault.
func TestReusedRowGroupsEqualRewritten(t *testing.T) {
	seeds := 16
	if testing.Short() {
		seeds = 4
	}
	reused := 0
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			e := &dayOfEvents{day: day(t, "2025-01-01"), rows: map[billing.AccountID][]EventRow{}}
			name := func() billing.AccountID { return billing.AccountID(fmt.Sprintf("%02d", r.IntN(60))) }
			for range 5 + r.IntN(25) {
				e.set(t, r, name(), 1+r.IntN(rowGroupRows/2))
			}
			if seed%2 == 0 { // larger than a row group
				e.set(t, r, name(), rowGroupRows*2+r.IntN(rowGroupRows))
			}
			l, _ := memLake()
			s := l.Tenant("acme")
			lock(t, s)
			build := func(n int, prev *Manifest, segments ...Segment) File {
				b, err := s.Begin(n, prev)
				if err != nil {
					t.Fatal(err)
				}
				f, err := b.WriteEvents(e.day, 0, segments...)
				if err != nil {
					t.Fatal(err)
				}
				if faults, err := b.ReadBack(); err != nil || len(faults) > 0 {
					t.Fatalf("release %d: %q, %v", n, faults, err)
				}
				if err := b.Publish(&Manifest{AsOf: testNow}); err != nil {
					t.Fatal(err)
				}
				return f
			}
			accounts, _ := e.accounts()
			build(1, nil, events(e.of(accounts)...))
			prev, err := s.Current()
			if err != nil {
				t.Fatal(err)
			}
			changed := map[billing.AccountID]bool{}
			for range r.IntN(4) { // change, add or remove an account
				a := accounts[r.IntN(len(accounts))]
				if r.IntN(3) == 0 {
					a = name()
				}
				e.set(t, r, a, r.IntN(3)*r.IntN(rowGroupRows))
				changed[a] = true
			}
			accounts, counts := e.accounts()
			rewritten := build(2, prev, events(e.of(accounts)...))

			released, err := s.OpenEvents(prev, prev.filesOf(Events)[0])
			if err != nil {
				t.Fatal(err)
			}
			var segments []Segment
			var open []billing.AccountID
			flush := func() {
				if len(open) > 0 {
					segments, open = append(segments, events(e.of(open)...)), nil
				}
			}
			for _, c := range Cuts(accounts, counts, rowGroupRows) {
				in := slices.DeleteFunc(slices.Clone(accounts), func(a billing.AccountID) bool { return a < c.First || a > c.Last })
				k, ok := released.RowGroups(c)
				if ok && !slices.ContainsFunc(in, func(a billing.AccountID) bool { return changed[a] }) {
					flush()
					segments = append(segments, Segment{Reused: k})
					reused += k.end - k.first
				} else {
					open = append(open, in...)
				}
			}
			flush()
			mixed := build(3, prev, segments...)
			rewritten.Path, rewritten.WrittenBy = mixed.Path, mixed.WrittenBy
			if got, want := fmt.Sprintf("%+v", mixed), fmt.Sprintf("%+v", rewritten); got != want {
				t.Errorf("reused %s\nwritten %s", got, want)
			}
			m, err := s.Current()
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Verify(m, nil); err != nil { // decodes all of it
				t.Error(err)
			}
		})
	}
	if reused < seeds {
		t.Errorf("%d row groups were reused in %d files", reused, seeds)
	}
}

// TestRowGroupsOutOfPlace: segments whose accounts are not in ascending order are refused.
func TestRowGroupsOutOfPlace(t *testing.T) {
	l, _ := memLake()
	s := l.Tenant("acme")
	lock(t, s)
	publishDays(t, s, "7", "2025-01-01")
	m, err := s.Current()
	if err != nil {
		t.Fatal(err)
	}
	released, err := s.OpenEvents(m, m.filesOf(Events)[0])
	if err != nil {
		t.Fatal(err)
	}
	n := released.notes[0]
	k, ok := released.RowGroups(Cut{n.First, n.Last, n.Rows})
	if !ok {
		t.Fatal("the only row group is not found")
	}
	if _, ok := released.RowGroups(Cut{n.First, n.Last, n.Rows + 1}); ok {
		t.Error("a row group of another number of rows is found")
	}
	b, err := s.Begin(2, m)
	if err != nil {
		t.Fatal(err)
	}
	d := day(t, "2025-01-01")
	if _, err := b.WriteEvents(d, 0, Segment{Reused: k}, Segment{Reused: k}); err == nil {
		t.Error("a row group was copied twice")
	}
	if _, err := b.WriteEvents(d, 1, events(event(t, d, string(n.Last), "a", "1")), Segment{Reused: k}); err == nil {
		t.Error("a row group follows an account of its own")
	}
	if _, err := b.WriteEvents(d, 2, Segment{Reused: k}, events(event(t, d, string(n.Last), "z", "1"))); err == nil {
		t.Error("a row follows a row group with its account")
	}
}
