package state

import (
	"fmt"
	"io"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zeebo/xxh3"

	"daybook/internal/state/format"
)

// TestSavedFilter: a start takes the filter that was saved, reads what came after it, and
// ignores one that is not of this state's journal or not whole.
func TestSavedFilter(t *testing.T) {
	const events = 200
	o := testOptions(vfs.NewMem())
	o.FilterBytes = 1 << 10
	s := openTest(t, o)
	next := int64(0)
	add := func(s *Store, n int64) {
		for range n {
			apply(t, s, next, event(fmt.Sprint("e", next), "a", 1, 5, 1, next))
			next++
		}
	}
	reopen := func(how string, current bool) *Store {
		t.Helper()
		s, err := Open("state", o)
		if err != nil {
			t.Fatal(err)
		}
		s.filling.Wait()
		if got := s.mu.filters.savedAt == s.mu.journal.Head; got != current {
			t.Errorf("%s: taken as it was saved: %t, want %t", how, got, current)
		}
		for i := range next {
			if !s.mu.filters.events.has(xxh3.Hash128(format.AppendEventKey(nil, "default", event(fmt.Sprint("e", i), "a", 1, 5, 1, i).Event.ID))) {
				t.Fatalf("%s: event %d is not known", how, i)
			}
		}
		return s
	}
	closed := func(s *Store) {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	add(s, 10)
	closed(s)
	path := filepath.Join("state", LiveDir, filterName)
	if _, err := o.FS.Stat(path); err == nil {
		t.Error("a filter of ten events was saved")
	}
	s = reopen("few events", false)
	add(s, events)
	closed(s)
	s = reopen("saved", true)
	closed(s)

	file := readFile(t, o.FS, path)
	s = reopen("saved, and nothing written since", true)
	add(s, events)
	closed(s)
	writeFile(t, o.FS, path, file) // as after a kill: what was saved before the last run
	s = reopen("of an earlier point", false)
	if n := s.mu.journal.Totals.Generation; n == 0 {
		t.Error("all events are of one generation")
	}
	closed(s)

	whole := readFile(t, o.FS, path)
	for at := range whole {
		if at%97 != 0 && at > filterHead && at < len(whole)-16 {
			continue
		}
		bad := append([]byte(nil), whole...)
		bad[at] ^= 0x10
		writeFile(t, o.FS, path, bad)
		closed(reopen(fmt.Sprintf("byte %d flipped", at), false))
	}
	writeFile(t, o.FS, path, whole[:len(whole)/2])
	closed(reopen("half a file", false))
}

// TestFilterOfAnotherJournal: a state that was put back, and went on otherwise, does not take
// the filter of what it was before.
func TestFilterOfAnotherJournal(t *testing.T) {
	o := testOptions(vfs.NewMem())
	o.FilterBytes = 64
	s := openTest(t, o)
	for i := range int64(20) {
		apply(t, s, i, event(fmt.Sprint("e", i), "a", 1, 5, 1, i))
	}
	if _, err := s.Checkpoint("copy"); err != nil {
		t.Fatal(err)
	}
	apply(t, s, 20, event("one", "a", 1, 5, 1, 20))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	saved := readFile(t, o.FS, filepath.Join("state", LiveDir, filterName))

	s, err := Open("copy", o)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, s, 20, event("two", "b", 2, 7, 2, 20))
	head, id := s.mu.journal.Head, s.mu.identity.Database
	writeFile(t, o.FS, filepath.Join("copy", LiveDir, filterName), saved)
	if _, _, err := s.loadFilter(s.mu.filters.events, s.view, head, id); err == nil {
		t.Error("a filter was taken that is of another course of the journal")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t *testing.T, fs vfs.FS, path string, b []byte) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
