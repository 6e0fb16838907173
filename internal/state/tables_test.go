package state

import (
	"fmt"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"daybook/internal/billing"
)

// gate holds back the creation of the database's own tables, which only compactions and
// flushes make, while it is shut.
type gate struct {
	mu     sync.Mutex
	opened chan struct{}
}

func (g *gate) MaybeError(op errorfs.Op) error {
	if op.Kind == errorfs.OpCreate && path.Ext(op.Path) == ".sst" && path.Base(path.Dir(op.Path)) == LiveDir {
		g.mu.Lock()
		opened := g.opened
		g.mu.Unlock()
		<-opened
	}
	return nil
}

func (g *gate) String() string { return "gate" }

// TestBigWritesWaitForCompactions: while compactions stand still, big writes are taken up to a
// depth of L0 and no further; when they go on, so do the writes, and nothing is lost.
func TestBigWritesWaitForCompactions(t *testing.T) {
	t.Parallel()
	g := &gate{opened: make(chan struct{})}
	o := testOptions(errorfs.Wrap(vfs.NewMem(), g))
	o.Now, o.BulkRecords = time.Now, 1
	if err := Create("state", testIdentity(), func() Options { o := o; o.FS = o.FS.(*errorfs.FS).Unwrap(); return o }()); err != nil {
		t.Fatal(err)
	}
	s, err := Open("state", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })

	const writes = maxSublevels + 8
	applied := make(chan int, writes)
	go func() {
		defer close(applied)
		for i := range int64(writes) {
			// Both ends of the keys, so that tables overlap.
			b := &delivered{Records: []Record{event("a", "1", 20_000, 1, 2*i, 2*i), event("z", "2", 20_000, 1, 2*i+1, 2*i+1)}, Advances: []Advance{advance(2*i, 2*i+2)}}
			if _, err := s.Apply(b.batch()); err != nil {
				t.Error(err)
				return
			}
			applied <- int(i)
		}
	}()
	n := 0
	for waiting := false; !waiting; {
		select {
		case <-applied:
			if n++; n == writes {
				t.Fatalf("%d big writes were taken while no compaction went on", n)
			}
		case <-time.After(10 * time.Millisecond):
			waiting = valueOf(t, s.metrics.compactionWait) > 0.1
		}
	}
	if depth := s.db.Metrics().Levels[0].Sublevels; depth > maxSublevels {
		t.Errorf("L0 has %d sublevels, want at most %d", depth, maxSublevels)
	}
	close(g.opened)
	for range applied {
		n++
	}
	if n != writes {
		t.Fatalf("%d of %d writes were applied", n, writes)
	}
	checkClean(t, s)
}

// TestGrowingIDsAreCompacted: tables that overlap only their neighbours are compacted, and
// neither big nor small writes wait for ever.
func TestGrowingIDsAreCompacted(t *testing.T) {
	t.Parallel()
	o := testOptions(vfs.NewMem())
	o.Now, o.BulkRecords, o.MemTableBytes = time.Now, 2, 64<<10
	s := openTest(t, o)
	done := make(chan struct{})
	go func() {
		defer close(done)
		at := int64(0)
		for i := range 30 {
			id := func(n int) string { return fmt.Sprintf("%04d", n) }
			records := []Record{event(id(i), "1", billing.Day(i), 1, at, at), event(id(i+1), "1", billing.Day(i+1), 1, at, at+1)}
			if _, err := s.Apply((&delivered{Records: records, Advances: []Advance{advance(at, at+2)}}).batch()); err != nil {
				t.Error(err)
				return
			}
			at += 2
		}
		for range 200 { // enough for new memtables, which wait where layers are too many
			r := event(strings.Repeat("x", 4000)+fmt.Sprint(at), "1", 1, 1, at, at)
			if _, err := s.Apply((&delivered{Records: []Record{r}, Advances: []Advance{advance(at, at+1)}}).batch()); err != nil {
				t.Error(err)
				return
			}
			at++
		}
	}()
	select {
	case <-done:
		checkClean(t, s)
	case <-time.After(30 * time.Second):
		t.Fatalf("writes wait: L0 has %d layers", s.db.Metrics().Levels[0].Sublevels)
	}
}

// valueOf is a counter's value.
func valueOf(t *testing.T, m prometheus.Metric) float64 {
	t.Helper()
	var d dto.Metric
	if err := m.Write(&d); err != nil {
		t.Fatal(err)
	}
	return d.GetCounter().GetValue()
}
