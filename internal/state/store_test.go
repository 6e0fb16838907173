package state

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/billing"
)

var testTime = time.Date(2025, 1, 10, 0, 0, 0, 0, time.UTC)

// testOptions work on fs; a storage failure is a panic.
func testOptions(fs vfs.FS) Options {
	return Options{FS: fs, Now: func() time.Time { return testTime }, Fatal: func(err error) { panic(err) },
		CacheBytes: 8 << 20, MemTableBytes: 1 << 20, FilterBytes: 1 << 16, GenerationEvents: 3}
}

func testIdentity() Identity {
	return Identity{Cluster: "c", Topics: []Topic{{Name: "billing"}}, Rules: billing.DefaultRules()}
}

func openTest(t *testing.T, o Options) *Store {
	t.Helper()
	if err := Create("state", testIdentity(), o); err != nil {
		t.Fatal(err)
	}
	s, err := Open("state", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// event is an upsert from partition 0.
func event(id, account string, day billing.Day, cents uint64, at, offset int64) Record {
	return Record{Event: billing.Event{
		Tenant: "default", ID: billing.EventID(id), Account: billing.AccountID(account), Service: "compute", Day: day,
		Cost: billing.MoneyFromParts(0, cents*1e16),
		Version: billing.Version{IngestedAt: billing.Instant(at * 1e9),
			Source: billing.Source{Offset: offset, RecordTime: at * 1000}},
	}}
}

func advance(from, next int64) Advance {
	return Advance{From: from, Next: next, Delivered: next - from, LeaderEpoch: 3, LastOffset: next - 1}
}

func apply(t *testing.T, s *Store, from int64, records ...Record) Applied {
	t.Helper()
	a, err := s.Apply((&delivered{Records: records, Advances: []Advance{advance(from, from+int64(len(records)))}}).batch())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func checkClean(t *testing.T, s *Store) {
	t.Helper()
	r, err := s.Reader()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	faults, err := r.Check(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Errorf("%s: %s", f.Key, f.What)
	}
}

func TestApplyAndReopen(t *testing.T) {
	o := testOptions(vfs.NewMem())
	s := openTest(t, o)
	got := apply(t, s, 0, event("a", "x", 100, 500, 1, 0), event("b", "x", 100, 700, 1, 1), event("a", "y", 101, 500, 2, 2))
	if got.Outcomes[billing.New] != 2 || got.Outcomes[billing.Replaced] != 1 || got.Dirty != 2 {
		t.Errorf("applied %+v", got)
	}
	checkClean(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open("state", o)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, s, 3, event("b", "x", 100, 700, 3, 3))
	checkClean(t, s)
	if _, err := s.Checkpoint("copy"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := OpenReader("copy", o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	n := 0
	for e, err := range r.Events("default", 100, "", "") {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if e.ID != "b" || e.Version.Source.Offset != 3 || e.Cost.String() != "7" {
			t.Errorf("event %+v", e)
		}
	}
	if n != 1 {
		t.Errorf("%d events on day 100, want 1", n)
	}
	for m, err := range r.Markers("default", 0, 1000) {
		if err != nil {
			t.Fatal(err)
		}
		if m.Sequence != 1 {
			t.Errorf("marker %+v", m)
		}
	}
	faults, err := r.Check(nil)
	if err != nil || len(faults) != 0 {
		t.Errorf("check of the copy: %v %v", faults, err)
	}
}

// TestBriefStoreCompactsNothing: a store opened for a moment leaves what ingest's compactions left to do,
// takes checkpoints, more than Pebble lets tables wait for compactions, and still knows every event.
func TestBriefStoreCompactsNothing(t *testing.T) {
	o := testOptions(vfs.NewMem())
	s := openTest(t, o)
	const layers = 3
	for i := range int64(layers) { // one fewer than are compacted
		apply(t, s, i, event("e", "a", 1, uint64(i), i, i))
		if err := s.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	o.Brief = true
	for i := range 25 {
		brief, err := Open("state", o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := brief.Checkpoint(fmt.Sprint("copy", i)); err != nil {
			t.Fatal(err)
		}
		if m := brief.db.Metrics(); m.Compact.Count != 0 {
			t.Fatalf("%d compactions", m.Compact.Count)
		}
		if i == 0 {
			if got := apply(t, brief, layers, event("e", "a", 1, layers-1, layers-1, layers)); got.Outcomes[billing.Duplicate] != 1 {
				t.Fatalf("outcomes %v of an event that is there", got.Outcomes)
			}
		}
		checkClean(t, brief)
		if err := brief.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
