package state

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"daybook/internal/billing"
	"daybook/internal/test/rot"
)

// survivals are the shares of unsynced bytes that a sweep lets survive, in percent.
var survivals = []int{0, 50, 100}

// sweepStride is how many operations lie between two that a sweep tries: 1 with
// DAYBOOK_SWEEP=full, else some, beginning with another one in each test.
func sweepStride() int {
	switch {
	case os.Getenv("DAYBOOK_SWEEP") == "full":
		return 1
	case testing.Short():
		return 41
	}
	return 11
}

// course is a fixed course of a state: batches written through the WAL and as
// tables in turn, with corrections, moves, deletes and rejections, checkpoints between
// them, entries folded, and a restart in the middle.
type course struct {
	o     Options
	acked atomic.Int64 // batches that Apply has acknowledged; -1: not even created
}

const (
	courseDir     = "/state"
	courseBatches = 10
)

func newCourse(fs vfs.FS) *course {
	c := &course{o: testOptions(fs)}
	c.o.MemTableBytes = 64 << 10
	c.o.BulkRecords, c.o.JournalFoldKeep = 5, 2
	c.acked.Store(-1)
	return c
}

// batch is the n-th batch: 2 records, or 6, which are written as tables.
func (c *course) batch(n int) *delivered {
	size := func(n int) int64 { return int64(2 + 4*(n%2)) }
	from := int64(0)
	for i := range n {
		from += size(i)
	}
	b := &delivered{Advances: []Advance{advance(from, from+size(n))}}
	for i := range size(n) {
		offset := from + i
		r := event(fmt.Sprintf("e%d", offset*5%9), fmt.Sprintf("a%d", offset%3), billing.Day(100+offset%4), uint64(100+offset), offset, offset)
		switch offset % 7 {
		case 3:
			r = Record{Event: billing.Event{Tenant: "default", ID: r.Event.ID, Op: billing.Delete, Version: r.Event.Version}}
		case 5:
			r = Record{Key: []byte("k"), Value: []byte("value"), Size: 5, Rejection: &billing.Rejection{
				Reason: "cost_negative", Version: r.Event.Version, Tenant: "default", Event: r.Event.ID, Account: "a1", Day: 101, HasDay: true}}
		}
		b.Records = append(b.Records, r)
	}
	return b
}

// run goes on from wherever the state is to the end of the course.
func (c *course) run() error {
	s, err := Open(courseDir, c.o)
	if errors.Is(err, ErrNotFound) {
		if err := Create(courseDir, testIdentity(), c.o); err != nil {
			return err
		}
		c.acked.Store(0)
		s, err = Open(courseDir, c.o)
	}
	if err != nil {
		return err
	}
	n, err := c.apply(s)
	if err := errors.Join(err, s.Close()); err != nil {
		return err
	}
	if n < courseBatches { // the restart
		return c.run()
	}
	return nil
}

// apply applies batches until the middle or the end, and returns how many the state has.
func (c *course) apply(s *Store) (int, error) {
	if err := s.o.FS.RemoveAll(courseDir + "/checkpoints"); err != nil {
		return 0, err
	}
	n, err := applied(s)
	if err != nil {
		return n, err
	}
	stop := courseBatches / 2
	if n >= stop {
		stop = courseBatches
	}
	for ; n < stop; n++ {
		if _, err := s.Apply(c.batch(n).batch()); err != nil {
			return n, err
		}
		c.acked.Store(int64(n + 1))
		if n%3 != 1 {
			continue
		}
		dir := fmt.Sprintf("%s/checkpoints/%d", courseDir, n)
		if _, err := s.Checkpoint(dir); err != nil {
			return n, err
		}
		r, err := OpenReader(dir, c.o)
		if err != nil {
			return n, err
		}
		if err := errors.Join(r.Close(), s.o.FS.RemoveAll(dir)); err != nil {
			return n, err
		}
	}
	return n, nil
}

// applied is how many batches a store has.
func applied(s *Store) (int, error) {
	r, err := s.Reader()
	if err != nil {
		return 0, err
	}
	n, err := batches(r)
	return n, errors.Join(err, r.Close())
}

// batches is how many of the course's batches a state has.
func batches(r *Reader) (n int, err error) {
	positions, err := r.Positions()
	if err != nil {
		return 0, err
	}
	c := newCourse(nil)
	for ; len(positions) > 0 && n < courseBatches && c.batch(n).Advances[0].Next <= positions[0].NextOffset; n++ {
	}
	return n, nil
}

// dump is everything that a state says, as text; faults that Check finds are in it.
func dump(r *Reader) (string, error) {
	var b strings.Builder
	faults, err := r.Check(nil)
	if err != nil {
		return "", err
	}
	for _, f := range faults {
		fmt.Fprintf(&b, "fault: %s %s\n", f.What, f.Key)
	}
	positions, err := r.Positions()
	if err != nil {
		return "", err
	}
	for _, p := range positions {
		fmt.Fprintln(&b, p.Partition, p.NextOffset, p.Outcomes)
	}
	for day := billing.Day(100); day < 104; day++ {
		for e, err := range r.Events("default", day, "", "") {
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "%+v\n", *e)
		}
	}
	for m, err := range r.Markers("default", 0, 1000) {
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%+v\n", m)
	}
	for q, err := range r.Quarantine(true) {
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%+v\n", *q)
	}
	return b.String(), nil
}

// expected are the dumps after each batch of a course that nothing disturbs.
var expected = sync.OnceValue(func() (all []string) {
	c := newCourse(vfs.NewMem())
	if err := Create(courseDir, testIdentity(), c.o); err != nil {
		panic(err)
	}
	s, err := Open(courseDir, c.o)
	if err != nil {
		panic(err)
	}
	for n := 0; ; n++ {
		r, err := s.Reader()
		if err != nil {
			panic(err)
		}
		text, err := dump(r)
		if err := errors.Join(err, r.Close()); err != nil {
			panic(err)
		}
		if all = append(all, text); n == courseBatches {
			break
		}
		if _, err := s.Apply(c.batch(n).batch()); err != nil {
			panic(err)
		}
	}
	if err := s.Close(); err != nil {
		panic(err)
	}
	return all
})

// recovered fails unless the state on fs has at least the acknowledged batches,
// at most one more, says exactly what it should after those, and goes on to the end.
func recovered(t *testing.T, where string, fs vfs.FS, acked int64) {
	t.Helper()
	c := newCourse(fs)
	r, err := OpenReader(courseDir, c.o)
	switch {
	case errors.Is(err, ErrNotFound) && acked < 0:
	case err != nil:
		t.Errorf("%s: open with %d batches acknowledged: %v", where, acked, err)
		return
	default:
		n, err := batches(r)
		if err == nil && (int64(n) < acked || int64(n) > max(acked, 0)+1) {
			t.Errorf("%s: %d batches are there, %d were acknowledged", where, n, acked)
		}
		if err == nil {
			err = says(r, n)
		}
		if err := errors.Join(err, r.Close()); err != nil {
			t.Errorf("%s: %v", where, err)
			return
		}
	}
	if err := c.run(); err != nil {
		t.Errorf("%s: going on: %v", where, err)
		return
	}
	if r, err = OpenReader(courseDir, c.o); err == nil {
		err = errors.Join(says(r, courseBatches), r.Close())
	}
	if err != nil {
		t.Errorf("%s: at the end: %v", where, err)
	}
}

// says fails unless a state says what it should after n batches.
func says(r *Reader, n int) error {
	text, err := dump(r)
	if err == nil && text != expected()[n] {
		err = fmt.Errorf("after %d batches it says\n%s\nand should say\n%s", n, text, expected()[n])
	}
	return err
}

// TestSweepFailEachOperation fails each file-system operation of a course in
// turn, until a run sees no failure. What a failed write leaves behind is looked at as after
// the end of the process, and as after a power cut.
func TestSweepFailEachOperation(t *testing.T) {
	stride := sweepStride()
	tried, fatals := 0, 0
	for i := rand.IntN(stride); ; i += stride {
		mem := rot.NewCrashable()
		var ops atomic.Int64
		var what atomic.Value
		var ended atomic.Bool
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if ended.Load() {
				select {} // a process that has ended does nothing more
			}
			if ops.Add(1) != int64(i)+1 {
				return nil
			}
			what.Store(fmt.Sprintf("operation %d (%v %s) fails", i, op.Kind, op.Path))
			return syscall.EIO
		}))
		c := newCourse(fs)
		fatal := make(chan error, 100)
		c.o.Fatal = func(err error) {
			ended.Store(true)
			fatal <- err
			select {}
		}
		done := make(chan error, 1)
		go func() { done <- c.run() }()
		var err error
		select {
		case err = <-done:
		case err = <-fatal:
			fatals++
		}
		if what.Load() == nil {
			if err != nil {
				t.Fatalf("without a failure: %v", err)
			}
			t.Logf("%d operations of %d failed one by one, of which %d ended the process", tried, i, fatals)
			if tried < 20 {
				t.Errorf("only %d operations tried", tried)
			}
			return
		}
		tried++
		where := what.Load().(string)
		if err != nil && !errors.Is(err, syscall.EIO) && !strings.Contains(err.Error(), syscall.EIO.Error()) {
			t.Errorf("%s: the error does not name its cause: %v", where, err)
		}
		acked := c.acked.Load()
		for _, percent := range survivals {
			clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(uint64(i), 1))})
			recovered(t, fmt.Sprintf("%s, %d %% survive", where, percent), clone, acked)
		}
		if t.Failed() {
			return
		}
	}
}

// TestSweepCrashAtEachOperation cuts the power before each write to the disk of a course.
func TestSweepCrashAtEachOperation(t *testing.T) {
	stride := sweepStride()
	mem := rot.NewCrashable()
	var mu sync.Mutex
	writes, crashes := 0, 0
	first := rand.IntN(stride)
	var c *course
	c = newCourse(errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if op.Kind.ReadOrWrite() == errorfs.OpIsRead || t.Failed() {
			return nil
		}
		if writes++; (writes+first)%stride != 0 {
			return nil
		}
		for _, percent := range survivals {
			crashes++
			acked := c.acked.Load()
			clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(uint64(writes), 2))})
			recovered(t, fmt.Sprintf("power cut before write %d (%v %s), %d %% survive", writes, op.Kind, op.Path, percent), clone, acked)
		}
		return nil
	})))
	if err := c.run(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d power cuts in %d writes", crashes, writes)
	if crashes < 20 {
		t.Errorf("only %d crashes", crashes)
	}
}
