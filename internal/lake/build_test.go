package lake

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/internal/billing"
	"daybook/internal/test/disktest"
	"daybook/internal/test/rot"
)

func day(t testing.TB, s string) billing.Day {
	t.Helper()
	d, err := billing.ParseDay(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func usd(t testing.TB, s string) billing.Money {
	t.Helper()
	m, _, err := billing.ParseMoney(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// event returns a row; cost is in USD.
func event(t testing.TB, d billing.Day, account, id, cost string) EventRow {
	t.Helper()
	return EventRow{Topic: "billing", Event: billing.Event{
		Tenant: "acme", ID: billing.EventID(id), Account: billing.AccountID(account), Service: "Compute", Day: d, Cost: usd(t, cost),
		Region: "eu-west-1", Attributes: `{"team":"a"}`,
		Version: billing.Version{
			IngestedAt: 1_735_700_000_123_456_789,
			Source:     billing.Source{Partition: 3, Offset: 41, RecordTime: 1_735_700_000_123},
		},
	}}
}

func events(rows ...EventRow) Segment {
	return Segment{Rows: func(yield func(*EventRow, error) bool) {
		for i := range rows {
			if !yield(&rows[i], nil) {
				return
			}
		}
	}}
}

var testNow = time.Date(2025, 1, 9, 3, 0, 0, 0, time.UTC)

func memLake() (*Lake, *rot.Crashable) {
	under := rot.NewCrashable()
	return Open("/lake", disktest.Mem(under), func() time.Time { return testNow }), under
}

// lock holds the tenant's lock until the test ends.
func lock(t testing.TB, s *Series) {
	t.Helper()
	unlock, err := s.Lock()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unlock(); err != nil {
			t.Error(err)
		}
	})
}

// publishDays publishes the next release. Each day has two accounts: the first has a negative event, the second costs
// cost.
func publishDays(t testing.TB, s *Series, cost string, days ...string) *Manifest {
	t.Helper()
	m, err := tryPublish(t, s, cost, days...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func tryPublish(t testing.TB, s *Series, cost string, days ...string) (*Manifest, error) {
	prev, err := s.Current()
	if err != nil {
		return nil, err
	}
	n := 1
	if prev != nil {
		n = prev.Release + 1
	}
	b, err := s.Begin(n, prev)
	if err != nil {
		return nil, err
	}
	m, err := fill(t, b, prev, cost, days...)
	if err != nil {
		return nil, errors.Join(err, b.Abort())
	}
	return m, b.Publish(m)
}

func fill(t testing.TB, b *Build, prev *Manifest, cost string, days ...string) (*Manifest, error) {
	m := &Manifest{AsOf: testNow, Cutoff: "02:00"}
	if prev != nil {
		m.Previous = prev.Release
		for _, f := range prev.Files {
			if _, dim := dimensionKeys[f.Dataset]; dim || f.Day != nil && slices.Contains(days, f.Day.String()) {
				continue
			}
			if err := b.Link(f); err != nil {
				return nil, err
			}
		}
	}
	var changes []ChangeRow
	for _, name := range days {
		d := day(t, name)
		if err := writeDay(t, b, d, cost); err != nil {
			return nil, err
		}
		changes = append(changes, ChangeRow{
			Tenant: "acme", Account: "0001", Day: d, Kind: ChangeNew, Reasons: []string{"new", "corrected"},
			New: usd(t, "-4.5"), HasNew: true, Delta: usd(t, "-4.5"),
		})
	}
	if _, err := b.WriteChanges(changes); err != nil {
		return nil, err
	}
	owner := "Ann"
	if _, err := b.WriteDimension(DimAccount, []string{"owner", "cost centre"}, []DimRow{
		{Tenant: "acme", Key: "0001", Extra: []*string{&owner, nil}},
		{Tenant: "acme", Key: "0002", Extra: []*string{nil, nil}},
	}); err != nil {
		return nil, err
	}
	faults, err := b.ReadBack()
	if len(faults) > 0 {
		err = fmt.Errorf("read back: %q", faults)
	}
	return m, err
}

func writeDay(t testing.TB, b *Build, d billing.Day, cost string) error {
	_, err := b.WriteEvents(d, 0, events(
		event(t, d, "0001", "a", "-5.000000000000000001"),
		event(t, d, "0001", "b", "0.500000000000000001"),
		event(t, d, "0002", "c", cost),
	))
	if err != nil {
		return err
	}
	_, err = b.WriteServiceDays(d, []ServiceDayRow{
		{"acme", "0001", "Compute", usd(t, "-4.5"), 2}, {"acme", "0002", "Compute", usd(t, cost), 1},
	})
	if err != nil {
		return err
	}
	_, err = b.WriteAccountDays(d, []AccountDayRow{
		{Tenant: "acme", Account: "0001", Total: usd(t, "-4.5"), Complete: true, PublishedAt: testNow, Revision: 1, Events: 2},
		{Tenant: "acme", Account: "0002", Total: usd(t, cost), PublishedAt: testNow, Revision: 2, Events: 1, Previous: usd(t, "0"), HasPrevious: true},
	})
	return err
}

func TestReleaseReadsBack(t *testing.T) {
	l, _ := memLake()
	s := l.Tenant("acme")
	lock(t, s)
	publishDays(t, s, "7", "2025-01-01", "2025-01-02")
	m, err := s.Current()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(m, nil); err != nil {
		t.Fatal(err)
	}
	rows, err := s.ReadAccountDays(m, day(t, "2025-01-02"))
	if err != nil || len(rows) != 2 {
		t.Fatal(rows, err)
	}
	if got := fmt.Sprint(rows[0].Total, rows[0].HasPrevious, rows[1].Total, rows[1].HasPrevious, rows[1].PublishedAt); got != "-4.5 false 7 true "+testNow.String() {
		t.Error(got)
	}
	for _, f := range m.dayFiles(Events, day(t, "2025-01-01")) {
		var got []EventRow
		for r, err := range s.ReadEvents(m, f) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, *r)
		}
		want := event(t, day(t, "2025-01-01"), "0001", "a", "-5.000000000000000001")
		want.Event.Version.IngestedAt = 1_735_700_000_123_456_000
		if len(got) != 3 || got[0] != want {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
}

func TestDimensionReadsBack(t *testing.T) {
	l, _ := memLake()
	s := l.Tenant("acme")
	lock(t, s)
	m := publishDays(t, s, "7", "2025-01-01")
	columns, rows, err := s.ReadDimension(m, DimAccount)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(columns, []string{"owner", "cost centre"}) || len(rows) != 2 || rows[0].Key != "0001" ||
		*rows[0].Extra[0] != "Ann" || rows[0].Extra[1] != nil || rows[1].Extra[0] != nil {
		t.Errorf("columns %q, rows %+v", columns, rows)
	}
	if columns, rows, err = s.ReadDimension(m, DimRegion); err != nil || len(columns) > 0 || len(rows) > 0 {
		t.Errorf("empty dimension: %q %v %v", columns, rows, err)
	}
}

// TestEventsAreHeldAgainstAccountDays: a file of events that matches its entry, but not the day's account-days, is a
// fault.
func TestEventsAreHeldAgainstAccountDays(t *testing.T) {
	l, _ := memLake()
	s := l.Tenant("acme")
	lock(t, s)
	b, err := s.Begin(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := day(t, "2025-01-01")
	if err := writeDay(t, b, d, "7"); err != nil {
		t.Fatal(err)
	}
	other := d + 1
	if _, err := b.WriteEvents(other, 0, events(event(t, other, "0001", "a", "1"), event(t, other, "0002", "b", "2"))); err != nil {
		t.Fatal(err)
	}
	if _, err := b.WriteAccountDays(other, []AccountDayRow{
		{Tenant: "acme", Account: "0001", Total: usd(t, "2"), PublishedAt: testNow, Events: 1},
		{Tenant: "acme", Account: "0002", Total: usd(t, "1"), PublishedAt: testNow, Events: 1},
	}); err != nil {
		t.Fatal(err)
	}
	faults, err := b.ReadBack()
	if err != nil || len(faults) != 1 || !strings.Contains(faults[0], `2025-01-02`) || !strings.Contains(faults[0], `account "0001": events sum to 1 (1 events), the account-day states 2 (1)`) {
		t.Errorf("faults %q, %v", faults, err)
	}
}

// TestWholeDay: a day that fits one file, one that does not, and one without events.
func TestWholeDay(t *testing.T) {
	l, _ := memLake()
	s := l.Tenant("acme")
	lock(t, s)
	d := day(t, "2025-01-01")
	rows := events(event(t, d, "0001", "a", "1"), event(t, d, "0001", "b", "2"))
	write := func(limit int64, rows iter.Seq2[*EventRow, error]) (*Build, File, bool) {
		b, err := s.Begin(1, nil)
		if err != nil {
			t.Fatal(err)
		}
		f, whole, err := b.WriteWholeDay(d, limit, rows)
		if err != nil {
			t.Fatal(err)
		}
		return b, f, whole
	}
	b, f, whole := write(1, rows.Rows)
	if whole || len(b.Files()) > 0 {
		t.Errorf("two events in a file of one: %+v, %v", f, b.Files())
	}
	again, err := b.WriteEvents(d, 0, rows)
	if err != nil {
		t.Fatal(err)
	}
	if _, f, whole := write(2, rows.Rows); !whole || f.SHA256 != again.SHA256 {
		t.Errorf("%v, %+v, want %+v", whole, f, again)
	}
	if b, f, whole := write(2, events().Rows); whole || len(b.Files()) > 0 {
		t.Errorf("no event: %+v, %v", f, b.Files())
	}
	fails := errors.New("read fails")
	b, err = s.Begin(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, whole, err := b.WriteWholeDay(d, 2, func(yield func(*EventRow, error) bool) { yield(nil, fails) }); whole || !errors.Is(err, fails) {
		t.Errorf("%v, %v", whole, err)
	}
}
