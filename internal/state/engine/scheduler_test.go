package engine

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestNoCompactionBeforeStart: what there is to compact waits until the database is open, and all of it is
// compacted then.
func TestNoCompactionBeforeStart(t *testing.T) {
	t.Parallel()
	c := &scheduler{}
	o := &pebble.Options{FS: vfs.NewMem(), L0CompactionThreshold: 2, L0StopWritesThreshold: 1000}
	o.Experimental.CompactionScheduler = c
	db, err := pebble.Open("db", o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	layers := func(n int) {
		t.Helper()
		for range n {
			for _, key := range []string{"a", "z"} {
				if err := db.Set([]byte(key), []byte("value"), nil); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	compacted := func() bool {
		t.Helper()
		for range 1000 {
			if m := db.Metrics(); int(m.Levels[0].Sublevels) < o.L0CompactionThreshold && m.Compact.NumInProgress == 0 {
				return true
			}
			time.Sleep(5 * time.Millisecond)
		}
		return false
	}

	layers(6)
	if m := db.Metrics(); m.Compact.Count != 0 || m.Levels[0].Sublevels != 6 {
		t.Fatalf("%d compactions, %d sublevels before the start", m.Compact.Count, m.Levels[0].Sublevels)
	}
	c.start()
	if !compacted() {
		t.Fatalf("not compacted after the start: %v", db.Metrics())
	}
	for range 20 {
		layers(4)
		if !compacted() {
			t.Fatalf("not compacted after more came: %v", db.Metrics())
		}
	}
}
