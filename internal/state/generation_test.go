package state

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/billing"
	"daybook/internal/state/format"
)

// TestGenerations: events are found in whichever generation they are of, corrections stay in it, and a
// state equals one whose events are all of one generation.
func TestGenerations(t *testing.T) {
	const batches, each = 40, 5
	o := testOptions(vfs.NewMem())
	o.GenerationEvents = 20
	s := openTest(t, o)
	all := &delivered{}
	next := int64(0)
	add := func(records ...Record) {
		apply(t, s, next-int64(len(records)), records...)
		all.Records = append(all.Records, records...)
	}
	of := func(i int64) string { return fmt.Sprint("event-", i) }
	for range batches {
		var records []Record
		for range each {
			records = append(records, event(of(next), "a", 100, 100, 1, next))
			next++
		}
		add(records...)
	}
	totals := s.mu.journal.Totals
	if n := totals.Generation; n < 5 || n > batches*each/20 {
		t.Errorf("%d events are of %d generations", next, n)
	}
	perGeneration := map[format.Generation]int{}
	err := s.view.scanPrefix([]byte{format.SpaceLocator}, func(key, _ []byte) error {
		perGeneration[format.LocatorGeneration(key)]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(perGeneration) != int(totals.Generation)+1 {
		t.Errorf("the journal's newest generation is %d, there are %v", totals.Generation, perGeneration)
	}
	for i := int64(0); i < batches*each; i += 7 { // every event can be corrected, and moved
		day := billing.Day(100)
		if i%2 == 0 {
			day = 101
		}
		r := event(of(i), "a", day, 900, 2, next)
		next++
		add(r)
	}
	if n := s.mu.journal.Totals.Locators; n != batches*each {
		t.Errorf("%d locators of %d events: an event was taken for a new one", n, batches*each)
	}
	checkClean(t, s)

	other := o
	other.FS, other.GenerationEvents = vfs.NewMem(), 1<<40
	one := openTest(t, other)
	all.Advances = append(all.Advances, advance(0, next))
	if _, err := one.Apply(all.batch()); err != nil {
		t.Fatal(err)
	}
	if n := one.mu.journal.Totals.Generation; n != 0 {
		t.Errorf("one batch made %d generations", n)
	}
	a, err := s.Reader()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	b, err := one.Reader()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	differences, err := Compare(a, b, nil)
	if err != nil || len(differences) > 0 {
		t.Errorf("states of the same log differ: %v %v", differences, err)
	}
	if x, y := s.mu.journal.Totals, one.mu.journal.Totals; x.LocatorDigest != y.LocatorDigest || x.RecordDigest != y.RecordDigest {
		t.Error("their digests depend on the order of arrival")
	}
}
