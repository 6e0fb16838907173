package delivery

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"daybook/internal/billing"
	"daybook/internal/disk"
)

func day(text string) billing.Day {
	d, err := billing.ParseDay(text)
	if err != nil {
		panic(err)
	}
	return d
}

// read reads a file of ids whole.
func read(name string) (entries []Entry, err error) {
	for group, err := range merge(disk.OS(), []string{name}) {
		if err != nil {
			return entries, err
		}
		entries = append(entries, group[0].Entry)
	}
	return entries, nil
}

// TestSorter: whatever is added, in however many runs, comes out ascending, the
// newest of each id.
func TestSorter(t *testing.T) {
	const seed = 1
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	for _, limit := range []int{1 << 20, 1000, 1} {
		dir := t.TempDir()
		s := &Sorter{fs: disk.OS(), dir: dir, limit: limit, days: map[billing.Day]dayFacts{}}
		want := map[string]Entry{}
		for range 300 {
			e := NewEntry(billing.TenantID(fmt.Sprintf("t%d", chance.IntN(2))), billing.EventID(fmt.Sprintf("id|%d", chance.IntN(100))),
				day("2025-01-01")+billing.Day(chance.IntN(40)), billing.Instant(1e18+chance.Int64N(5)))
			e.Deleted = chance.IntN(5) == 0
			if err := s.Add(e); err != nil {
				t.Fatal(err)
			}
			if was, ok := want[e.key]; !ok || e.At >= was.At {
				want[e.key] = e
			}
		}
		name := filepath.Join(dir, "all.ids")
		if err := s.finish(name); err != nil {
			t.Fatal(err)
		}
		got, err := read(name)
		if err != nil || len(got) != len(want) {
			t.Fatalf("limit %d: %d entries, %v; want %d", limit, len(got), err, len(want))
		}
		for i, e := range got {
			if e != want[e.key] || i > 0 && got[i-1].key >= e.key {
				t.Errorf("limit %d: entry %d is %+v, want %+v", limit, i, e, want[e.key])
			}
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "run-*")); len(left) > 0 {
			t.Errorf("limit %d: %q are left", limit, left)
		}
	}
}

func TestEntry(t *testing.T) {
	e := NewEntry("acme", "a|b\\c", 7, 8)
	if e.Tenant() != "acme" || e.ID() != `a|b\c` {
		t.Errorf("%q, %q", e.Tenant(), e.ID())
	}
}

// TestDamage: a file of ids that is cut short or altered anywhere is not taken
// for a shorter or another list.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "x.ids")
	w, err := createIDs(disk.OS(), name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		e := NewEntry("default", billing.EventID(fmt.Sprintf("event-%04d", i)), day("2025-01-01"), billing.Instant(i))
		if err := w.add(&e); err != nil {
			t.Fatal(err)
		}
	}
	twice := w.last
	if w.add(&twice) == nil {
		t.Error("an id is written twice")
	}
	if err := w.close(true); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want, err := read(name)
	if err != nil || len(want) != 200 {
		t.Fatalf("%d entries, %v", len(want), err)
	}
	f := func(what string, data []byte) {
		t.Helper()
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := read(name)
		if err == nil && !slices.Equal(got, want) {
			t.Errorf("%s: %d entries without an error", what, len(got))
		}
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for n := range whole {
		f(fmt.Sprintf("cut to %d bytes", n), whole[:n])
		altered := slices.Clone(whole)
		altered[n] ^= 1 << (n % 8)
		f(fmt.Sprintf("byte %d altered", n), altered)
	}
}

// load makes a load of ids known to an index, without a topic.
func load(t *testing.T, x *Index, l Load, ids ...Entry) *Plan {
	t.Helper()
	s := x.Sorter()
	for _, e := range ids {
		if err := s.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	p, err := x.Plan(l, s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestIndex: a load is begun and then finished; what is begun counts as held;
// nothing else is left in the directory.
func TestIndex(t *testing.T) {
	root := t.TempDir()
	open := func() *Index {
		t.Helper()
		x, err := Open(root, "billing", "aa", "cur")
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	july := Load{Mode: Replace, Window: Window{day("2025-07-01"), day("2025-07-31")}, MaxShrinkPercent: 100}
	at := func(l Load, at billing.Instant) Load { l.At = at; return l }
	entry := func(id billing.EventID, d string, at billing.Instant) Entry {
		return NewEntry("default", id, day(d), at)
	}

	x := open()
	if _, err := Open(root, "billing", "aa", "cur"); !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	p := load(t, x, at(july, 1), entry("a", "2025-07-01", 1), entry("b", "2025-07-02", 1))
	if err := errors.Join(p.Begin(), x.Close()); err != nil { // and the process dies
		t.Fatal(err)
	}

	x = open()
	p = load(t, x, at(july, 2), entry("b", "2025-07-02", 2), entry("c", "2025-07-02", 2))
	var gone []string
	for e, err := range p.Deletes() {
		if err != nil {
			t.Fatal(err)
		}
		gone = append(gone, string(e.ID()))
	}
	if !slices.Equal(gone, []string{"a"}) || p.Held != 2 || p.Rows != 2 || p.Deleted != 1 {
		t.Errorf("deletes %q, %+v", gone, p)
	}
	if err := errors.Join(p.Begin(), p.Finish(), x.Close()); err != nil {
		t.Fatal(err)
	}

	x = open()
	if p = load(t, x, at(july, 2), entry("b", "2025-07-02", 2), entry("c", "2025-07-02", 2)); p.Deleted != 0 || p.Held != 2 {
		t.Errorf("the same again: %+v", p)
	}
	if p = load(t, x, at(july, 1), entry("a", "2025-07-01", 1)); p.Rows != 0 || p.Deleted != 0 || len(p.Newer) != 31 {
		t.Errorf("an older one: %+v", p)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(root, "billing", "cur", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, name := range left {
		names = append(names, strings.TrimRight(filepath.Base(name), "0123456789.ids"))
	}
	if got := strings.Join(names, " "); got != "2025-07- index.json lock tmp" {
		t.Errorf("left: %s", got)
	}

	// A newer load that was begun stands against an older one, on its days alone.
	x = open()
	if err := load(t, x, at(july, 9), entry("z", "2025-07-09", 9)).Begin(); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Plan(at(july, 8), x.Sorter()); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "run that one again first") {
		t.Errorf("older than one that was begun: %v", err)
	}
	august := Load{Mode: Replace, Window: Window{day("2025-08-01"), day("2025-08-31")}, At: 8}
	if _, err := x.Plan(august, x.Sorter()); err != nil {
		t.Error(err)
	}
	if _, err := x.Plan(Load{}, func() *Sorter {
		s := x.Sorter()
		if err := s.Add(entry("z", "2025-07-20", 10)); err != nil {
			t.Fatal(err)
		}
		return s
	}()); !errors.Is(err, ErrRefused) {
		t.Errorf("a load that says nothing, beside one that was begun: %v", err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}

	if _, err := Open(root, "billing", "bb", "cur"); !errors.Is(err, ErrTopic) {
		t.Errorf("another topic of the name: %v", err)
	}
	if _, err := Open(root, "billing", "aa", "a/b"); !errors.Is(err, ErrSource) {
		t.Errorf("a name that is a path: %v", err)
	}
	index := filepath.Join(root, "billing", "cur", recordName)
	if err := os.WriteFile(index, []byte(`{"format":3}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(root, "billing", "aa", "cur"); !errors.Is(err, ErrFormat) {
		t.Errorf("another format: %v", err)
	}
}
