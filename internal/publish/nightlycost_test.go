package publish

import (
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/billing"
	"daybook/internal/test/disktest"
)

// countingFS is a file system in memory that counts operations by their name: those on files as a whole, on
// directories and on names.
type countingFS struct {
	*disktest.Faults
	counts map[disktest.Op]int
}

func newCountingFS() *countingFS {
	c := &countingFS{Faults: disktest.NewFaults(disktest.Mem(vfs.NewMem()))}
	c.reset()
	c.Before = func(op disktest.Op, _ string) error {
		switch op {
		case "create", "link", "list", "mkdir", "open", "remove", "rename", "stat", "syncdir":
			c.counts[op]++
		}
		return nil
	}
	return c
}

func (c *countingFS) reset() { c.counts = map[disktest.Op]int{} }

// night is the cost of one nightly run.
type night struct {
	counts      map[disktest.Op]int
	files       int
	written     int
	directories int // of the release
}

// nightAfter runs one night of a tenant with the given number of released days: a new day is due, and one earlier
// day was corrected.
func nightAfter(t *testing.T, days int) night {
	t.Helper()
	fs := newCountingFS()
	w := newWorldOn(t, fs, "/lake")
	first := billing.DayOf(w.now) - billing.Day(days) // the last of them was yesterday
	feed := func(i int, cost string) {
		d := first + billing.Day(i)
		w.push(event(fmt.Sprintf("a-%d", i), "a", "compute", d.String(), cost, 1), event(fmt.Sprintf("b-%d", i), "b", "storage", d.String(), cost, 1))
	}
	for i := range days {
		feed(i, "1.5")
	}
	w.caughtUp()
	w.publish()

	feed(days, "2.5")
	w.push(event(fmt.Sprintf("a-%d", days-3), "a", "compute", first.String(), "3", 2)) // moves to the first day
	w.now = w.now.AddDate(0, 0, 1)
	w.caughtUp()
	fs.reset()
	if r := w.publish(); r.Days != 3 || r.Changes.New != 2 || r.Changes.Restated != 1 || r.Changes.Retracted != 1 {
		t.Fatalf("%d days recomputed, changes %+v", r.Days, r.Changes)
	}
	m := w.current()
	n := night{counts: fs.counts, files: len(m.Files)}
	directories := map[string]bool{}
	for _, f := range m.Files {
		if f.WrittenBy == m.Release {
			n.written++
		}
		for dir := path.Dir(f.Path); !directories[dir]; dir = path.Dir(dir) {
			directories[dir] = true
		}
	}
	n.directories = len(directories)
	return n
}

// TestNightCostsWhatChanged bounds the file system operations of a nightly run. Only the stats, links and directories
// of a release may grow with the number of released days. Files are read and written for the changed days only.
func TestNightCostsWhatChanged(t *testing.T) {
	short, long := nightAfter(t, 20), nightAfter(t, 80)
	t.Logf("after 20 days %+v", short)
	t.Logf("after 80 days %+v", long)
	if short.written != long.written || short.written == 0 {
		t.Errorf("%d files written after 20 days, %d after 80", short.written, long.written)
	}
	for op, n := range long.counts {
		grown, files, directories := n-short.counts[op], long.files-short.files, long.directories-short.directories
		bound := 0
		switch op {
		case "link", "stat":
			bound = files
		case "mkdir", "syncdir":
			bound = directories
		}
		if grown != bound {
			t.Errorf("%s: %d after 20 days, %d after 80: want %d more (%d files, %d directories)", op, short.counts[op], n, bound, files, directories)
		}
	}
	if long.counts["link"] != long.files-long.written+1 { // and the manifest's second name
		t.Errorf("%d links for %d files of which %d were written", long.counts["link"], long.files, long.written)
	}
}

// A tenant that lost its last event, and then its releases, is not published again with an empty release.
func TestTenantThatLeft(t *testing.T) {
	fs := disktest.Mem(vfs.NewMem())
	w := newWorldOn(t, fs, "/lake")
	w.week()
	w.publish()
	var deletes []string
	for _, r := range w.log[0] {
		id, _, _ := strings.Cut(strings.TrimPrefix(string(r.Value), `{"event_id":"`), `"`)
		deletes = append(deletes, deletion(id, 2))
	}
	w.push(deletes...)
	w.caughtUp()
	if r := w.publish(); r.Changes.Retracted != 14 {
		t.Fatalf("changes %+v", r.Changes)
	}
	w.check(fs.RemoveAll("/lake/default"))
	report, err := w.publisher().Run(t.Context())
	w.check(err)
	if len(report.Tenants) != 0 {
		t.Errorf("published %+v", report.Tenants)
	}
	if names, err := fs.List("/lake"); err != nil || len(names) != 0 {
		t.Errorf("the lake has %v, %v", names, err)
	}
}
