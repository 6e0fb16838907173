package state

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"daybook/internal/billing"
	"daybook/internal/dedup"
	"daybook/internal/state/format"
	"daybook/internal/test/rot"
)

// newStore makes a state of two topics.
func newStore(t fataler, o Options) *Store {
	t.Helper()
	id := testIdentity()
	id.Topics = append(id.Topics, Topic{Name: "more", Ordinal: 1})
	if err := Create("state", id, o); err != nil {
		t.Fatal(err)
	}
	s, err := Open("state", o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type fataler interface {
	Helper()
	Fatal(args ...any)
	Errorf(format string, args ...any)
}

// addBatch gives a load a batch: its records to all workers at once.
func (l *BulkLoad) addBatch(b *delivered) error {
	if err := l.Advance(b.Advances); err != nil {
		return err
	}
	var g errgroup.Group
	for i, n := 0, l.Workers(); i < n; i++ {
		part := b.Records[len(b.Records)*i/n : len(b.Records)*(i+1)/n]
		g.Go(func() error {
			for j := range part {
				if err := l.Add(i, &part[j]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// load puts batches into a new state in bulk.
func load(t fataler, s *Store, memory int64, batches []*delivered) {
	t.Helper()
	l, err := s.NewBulkLoad(memory)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range batches {
		if err := l.addBatch(b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
	rows := int64(0)
	for _, b := range batches {
		for _, r := range b.Records {
			if r.Rejection == nil {
				rows++
			}
			if r.Rejection == nil && r.Event.Op == billing.Upsert || r.Rejection != nil && r.Rejection.Tenant != "" && r.Rejection.Event != "" {
				rows++
			}
		}
	}
	if merged, total := l.Progress(); merged != rows || total != rows {
		t.Errorf("%d of %d rows were merged, want %d", merged, total, rows)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestLoad loads a log in bulk. The state is what the model says; what depends on the order of arrival too is as if
// the partitions had been applied one after the other. Then the log goes on, in bulk or not.
func TestLoad(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{settled: map[billing.Source]bool{}, next: map[PartitionID]int64{}}
		var batches []*delivered
		for range rapid.IntRange(0, 12).Draw(t, "batches") {
			b := m.drawBatch(t)
			b.CaughtUp = nil
			m.took(b)
			batches = append(batches, b)
		}
		o := testOptions(vfs.NewMem())
		o.LoadDirty = rapid.SampledFrom([]int{0, 1}).Draw(t, "dirty account-days in memory")
		bulk := newStore(t, o)
		defer func() { _ = bulk.Close() }()
		load(t, bulk, rapid.SampledFrom([]int64{1, 5_000, 1 << 20}).Draw(t, "memory"), batches)
		r, err := bulk.Reader()
		if err != nil {
			t.Fatal(err)
		}
		m.agree(t, r)

		applied := newStore(t, testOptions(vfs.NewMem()))
		defer func() { _ = applied.Close() }()
		for _, id := range []PartitionID{{Topic: 0, Partition: 0}, {Topic: 0, Partition: 1}, {Topic: 1, Partition: 0}} {
			for _, b := range batches {
				if _, err := applied.Apply(b.of(id).batch()); err != nil {
					t.Fatal(err)
				}
			}
		}
		q, err := applied.Reader()
		if err != nil {
			t.Fatal(err)
		}
		sameArrival(t, q, r)
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}

		for range rapid.IntRange(0, 3).Draw(t, "more") {
			b := m.drawBatch(t)
			if _, err := bulk.Apply(b.batch()); err != nil {
				t.Fatal(err)
			}
			m.took(b)
		}
		if r, err = bulk.Reader(); err != nil {
			t.Fatal(err)
		}
		m.agree(t, r)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// of is what a batch has of one partition.
func (b *delivered) of(id PartitionID) *delivered {
	i := slices.IndexFunc(b.Advances, func(a Advance) bool { return a.Partition == id })
	if i < 0 {
		return &delivered{}
	}
	one := &delivered{Advances: b.Advances[i : i+1]}
	for _, r := range b.Records {
		if format.PartitionOf(r.source()) == id {
			one.Records = append(one.Records, r)
		}
	}
	return one
}

// sameArrival compares two states in what Compare looks at, and in positions and dirty account-days.
func sameArrival(t fataler, a, b *Reader) {
	t.Helper()
	differences, err := Compare(a, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range differences {
		t.Errorf("%s %s", d.Key, d.What)
	}
	var positions [2][]Position
	var dirty [2]map[billing.AccountDay]dedup.Change
	for i, r := range [...]*Reader{a, b} {
		if positions[i], err = r.Positions(); err != nil {
			t.Fatal(err)
		}
		dirty[i] = map[billing.AccountDay]dedup.Change{}
		for _, tenant := range testTenants {
			for k, err := range r.Markers(tenant, -10, 10) {
				if err != nil {
					t.Fatal(err)
				}
				dirty[i][k.AccountDay] = k.Changes
			}
		}
	}
	if !slices.Equal(positions[0], positions[1]) {
		t.Errorf("positions %+v\nwant %+v", positions[1], positions[0])
	}
	// Withheld depends on where a batch ends, too.
	for _, d := range dirty {
		for a := range d {
			if d[a] &^= dedup.Withheld; d[a] == 0 {
				delete(d, a)
			}
		}
	}
	if !maps.Equal(dirty[0], dirty[1]) {
		t.Errorf("dirty %v\nwant %v", dirty[1], dirty[0])
	}
}

// loading loads the course's batches into the state of fs, which is empty; every row is a run of its own.
func loading(s *Store) error {
	l, err := s.NewBulkLoad(1)
	if err != nil {
		return err
	}
	for n := 0; n < courseBatches && err == nil; n++ {
		err = l.addBatch(newCourse(nil).batch(n))
	}
	if err == nil {
		_, err = l.Commit(context.Background())
	}
	return errors.Join(err, l.Close())
}

// loaded is what the course's state says once it was loaded, and before.
var loaded = sync.OnceValues(func() (before, after string) {
	c := newCourse(vfs.NewMem())
	if err := Create(courseDir, testIdentity(), c.o); err != nil {
		panic(err)
	}
	say := func(do func(*Store) error) string {
		s, err := Open(courseDir, c.o)
		if err == nil {
			err = errors.Join(do(s), s.Close())
		}
		if err != nil {
			panic(err)
		}
		r, err := OpenReader(courseDir, c.o)
		if err != nil {
			panic(err)
		}
		text, err := dump(r)
		if err := errors.Join(err, r.Close()); err != nil {
			panic(err)
		}
		return text
	}
	return say(func(*Store) error { return nil }), say(loading)
})

// wholeOrNothing fails unless the state on fs holds all of the load or nothing of it, and nothing
// of the load's files; and unless it can be loaded if it is empty.
func wholeOrNothing(t *testing.T, where string, fs vfs.FS) {
	t.Helper()
	c := newCourse(fs)
	before, after := loaded()
	for range 2 {
		s, err := Open(courseDir, c.o)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			return
		}
		if _, err := fs.Stat(s.tablesDir()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: tables are left: %v", where, err)
		}
		r, err := s.Reader()
		if err != nil {
			t.Fatal(err)
		}
		text, err := dump(r)
		if err := errors.Join(err, r.Close()); err != nil {
			t.Errorf("%s: %v", where, err)
		}
		switch text {
		case after:
			err = s.Close()
		case before:
			err = errors.Join(loading(s), s.Close())
		default:
			t.Errorf("%s: it says\n%s\nand should say\n%s", where, text, after)
		}
		if err != nil {
			t.Errorf("%s: %v", where, err)
		}
		if text == after || t.Failed() {
			return
		}
	}
	t.Errorf("%s: it cannot be loaded", where)
}

// TestSweepLoad fails each file-system operation of a load in turn, and cuts the power then: the state has all of it or
// nothing. Short of the last step, the error comes back and the state goes on.
func TestSweepLoad(t *testing.T) {
	stride := sweepStride()
	tried, fatals := 0, 0
	for i := rand.IntN(stride); ; i += stride {
		mem := rot.NewCrashable()
		var armed, ended atomic.Bool
		var ops atomic.Int64
		var what atomic.Value
		c := newCourse(errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if ended.Load() {
				select {} // a process that has ended does nothing more
			}
			if !armed.Load() || ops.Add(1) != int64(i)+1 {
				return nil
			}
			what.Store(fmt.Sprintf("operation %d (%v %s) fails", i, op.Kind, op.Path))
			return syscall.ENOSPC
		})))
		fatal := make(chan error, 100)
		c.o.Fatal = func(err error) {
			ended.Store(true)
			fatal <- err
			select {}
		}
		if err := Create(courseDir, testIdentity(), c.o); err != nil {
			t.Fatal(err)
		}
		s, err := Open(courseDir, c.o)
		if err != nil {
			t.Fatal(err)
		}
		armed.Store(true)
		done := make(chan error, 1)
		go func() { done <- loading(s) }()
		select {
		case err = <-done:
		case err = <-fatal:
			fatals++
		}
		if what.Load() == nil {
			armed.Store(false)
			if err := errors.Join(err, s.Close()); err != nil {
				t.Fatalf("without a failure: %v", err)
			}
			wholeOrNothing(t, "at the end", mem)
			t.Logf("%d operations of %d failed one by one, of which %d ended the process", tried, i, fatals)
			if tried < 5 {
				t.Errorf("only %d operations tried", tried)
			}
			return
		}
		tried++
		where := what.Load().(string)
		if err != nil && !errors.Is(err, syscall.ENOSPC) && !strings.Contains(err.Error(), syscall.ENOSPC.Error()) {
			t.Errorf("%s: the error does not name its cause: %v", where, err)
		}
		for _, percent := range survivals {
			clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(uint64(i), 1))})
			wholeOrNothing(t, fmt.Sprintf("%s, %d %% survive", where, percent), clone)
		}
		if !ended.Load() {
			closed := make(chan error, 1)
			go func() { closed <- s.Close() }()
			select {
			case err := <-closed:
				if err != nil {
					t.Errorf("%s: close: %v", where, err)
				}
				wholeOrNothing(t, where, mem)
			case err := <-fatal: // it came from a goroutine of the database, after the load had returned
				t.Logf("%s: after the load: %v", where, err)
				fatals++
			}
		}
		if t.Failed() {
			return
		}
	}
}

// TestLoadRefuses: a state that has events, and batches that do not fit.
func TestLoadRefuses(t *testing.T) {
	s := openTest(t, testOptions(vfs.NewMem()))
	defer func() { _ = s.Close() }()
	l, err := s.NewBulkLoad(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*delivered{
		"from the middle": {Advances: []Advance{advance(1, 1)}},
		"fewer records":   {Advances: []Advance{advance(0, 1)}},
		"more records":    {Advances: []Advance{advance(0, 1)}, Records: []Record{event("e", "a", 1, 1, 0, 0), event("f", "a", 1, 1, 0, 0)}},
		"no partition":    {Records: []Record{event("e", "a", 1, 1, 0, 0)}},
		"outside":         {Advances: []Advance{advance(0, 1)}, Records: []Record{event("e", "a", 1, 1, 1, 1)}},
	} {
		err := l.addBatch(b)
		if err == nil {
			_, err = l.Commit(t.Context())
		}
		if !errors.Is(err, ErrPosition) {
			t.Errorf("%s: %v", name, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if l, err = s.NewBulkLoad(1 << 20); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	one := &delivered{Advances: []Advance{advance(0, 1)}, Records: []Record{event("e", "a", 1, 1, 0, 0)}}
	if err := l.addBatch(one); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Commit(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a commit that was to end: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(one.batch()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.NewBulkLoad(1 << 20); err == nil || !strings.Contains(err.Error(), "holds 1 events") {
		t.Errorf("a state with events: %v", err)
	}
}

// BenchmarkLoad fills new states on disk, with and without a bulk load, in turns.
func BenchmarkLoad(b *testing.B) {
	const batch = 250_000
	for _, bulk := range []bool{false, true} {
		b.Run(fmt.Sprintf("bulk=%t", bulk), func(b *testing.B) {
			dir := b.TempDir() + "/state"
			s := diskStore(b, dir, 0)
			g := &generator{rng: rand.New(rand.NewPCG(1, 2))}
			var l *BulkLoad
			var err error
			if bulk {
				if l, err = s.NewBulkLoad(128 << 20); err != nil {
					b.Fatal(err)
				}
				defer func() { _ = l.Close() }()
			}
			b.ResetTimer()
			var making, cpu time.Duration
			began := cpuTime(b)
			for range b.N {
				b.StopTimer()
				cpu = cpuTime(b)
				records := g.batch(batch)
				making += cpuTime(b) - cpu
				b.StartTimer()
				if bulk {
					err = l.addBatch(records)
				} else {
					_, err = s.Apply(records.batch())
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			if bulk {
				if _, err := l.Commit(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			events := float64(b.N) * batch
			b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(cpuTime(b)-began-making)/events, "cpu-ns/event")
			b.ReportMetric(float64(s.db.Metrics().DiskSpaceUsage())/float64(g.offset), "B/event")
		})
	}
}
