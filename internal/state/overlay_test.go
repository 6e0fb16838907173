package state

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/billing"
	"daybook/internal/state/format"
)

// rows counts the rows of a keyspace.
func rows(t *testing.T, s *Store, space byte) (n int) {
	t.Helper()
	if err := s.view.scanPrefix([]byte{space}, func(_, _ []byte) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// dayOf is a day as Events has it, each event with its cost; Costs must agree.
func dayOf(t *testing.T, s *Store, d billing.Day) (all []string) {
	t.Helper()
	r, err := s.Reader()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	var sum, costs billing.Money
	for e, err := range r.Events("default", d, "", "") {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s %s %s @%d", e.Account, e.ID, e.Cost, e.Version.Source.Offset))
		sum, _ = sum.Add(e.Cost)
	}
	for e, err := range r.Costs("default", d, "", "") {
		if err != nil {
			t.Fatal(err)
		}
		costs, _ = costs.Add(e.Cost)
	}
	if sum != costs {
		t.Errorf("day %d: events sum to %s, costs to %s", d, sum, costs)
	}
	return all
}

// TestAmended: what is written again where it lies is put among the amended records, is read once, and goes
// with the event.
func TestAmended(t *testing.T) {
	const uuid = "0123abcd-0000-4000-8000-00000000beef"
	s := openTest(t, testOptions(vfs.NewMem()))
	next := int64(0)
	steps := []struct {
		what             string
		record           Record
		day              []string // day 100 afterwards
		records, amended int      // rows
	}{
		{"new", event("b", "a", 100, 500, 1, 0), []string{"a b 5 @0"}, 1, 0},
		{"another", event("c", "a", 100, 100, 1, 0), []string{"a b 5 @0", "a c 1 @1"}, 2, 0},
		{"a UUID among them", event(uuid, "a", 100, 100, 1, 0), []string{"a " + uuid + " 1 @2", "a b 5 @0", "a c 1 @1"}, 3, 0},
		{"sent again", event("b", "a", 100, 500, 1, 0), []string{"a " + uuid + " 1 @2", "a b 5 @3", "a c 1 @1"}, 3, 1},
		{"corrected", event("b", "a", 100, 700, 2, 0), []string{"a " + uuid + " 1 @2", "a b 7 @4", "a c 1 @1"}, 3, 1},
		{"the UUID corrected", event(uuid, "a", 100, 200, 2, 0), []string{"a " + uuid + " 2 @5", "a b 7 @4", "a c 1 @1"}, 3, 2},
		{"moved to another day", event("b", "a", 101, 700, 3, 0), []string{"a " + uuid + " 2 @5", "a c 1 @1"}, 3, 1},
		{"moved back", event("b", "a", 100, 700, 4, 0), []string{"a " + uuid + " 2 @5", "a b 7 @7", "a c 1 @1"}, 3, 1},
		{"an older version", event("b", "a", 100, 900, 1, 0), []string{"a " + uuid + " 2 @5", "a b 7 @7", "a c 1 @1"}, 3, 1},
		{"deleted", Record{Event: billing.Event{Op: billing.Delete, Tenant: "default", ID: uuid, Version: event("", "", 0, 0, 5, 0).Event.Version}},
			[]string{"a b 7 @7", "a c 1 @1"}, 2, 0},
		{"revived", event(uuid, "a", 100, 300, 6, 0), []string{"a " + uuid + " 3 @10", "a b 7 @7", "a c 1 @1"}, 3, 0},
	}
	for _, step := range steps {
		step.record.Event.Version.Source.Offset = next
		apply(t, s, next, step.record)
		next++
		if got := dayOf(t, s, 100); !slices.Equal(got, step.day) {
			t.Errorf("%s: day 100 is %q, want %q", step.what, got, step.day)
		}
		if r, a := rows(t, s, format.SpaceRecord), rows(t, s, format.SpaceOverlay); r != step.records || a != step.amended {
			t.Errorf("%s: %d records and %d amended, want %d and %d", step.what, r, a, step.records, step.amended)
		}
		checkClean(t, s)
	}
}
