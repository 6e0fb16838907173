package state

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"daybook/internal/test/rot"
)

// TestApplyErrorMeansNotApplied fails each file-system operation of a write in turn. A write that returns an error has
// changed nothing that a reader sees, and applied again it is applied once.
func TestApplyErrorMeansNotApplied(t *testing.T) {
	const before = 5 // batches; the next is written as tables
	refused := 0
	for i := 0; ; i++ {
		var armed, ended atomic.Bool
		var ops atomic.Int64
		var what atomic.Value
		c := newCourse(errorfs.Wrap(rot.NewCrashable(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if ended.Load() {
				select {} // a process that has ended does nothing more
			}
			if !armed.Load() || ops.Add(1) != int64(i)+1 {
				return nil
			}
			what.Store(fmt.Sprintf("operation %d (%v %s) fails", i, op.Kind, op.Path))
			return syscall.EIO
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
		s.filling.Wait()
		for n := range before {
			if _, err := s.Apply(c.batch(n).batch()); err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan error, 1)
		armed.Store(true)
		go func() {
			_, err := s.Apply(c.batch(before).batch())
			done <- err
		}()
		select {
		case err = <-done:
		case <-fatal: //nolint:errcheck // the channel only signals
			continue // the process ends; the sweeps check what is on disk then
		}
		armed.Store(false)
		where, failed := what.Load().(string)
		has := before + 1
		if err != nil {
			refused++
			has = before
			if !errors.Is(err, syscall.EIO) {
				t.Errorf("%s: the error does not name its cause: %v", where, err)
			}
		}
		for ; has <= before+1; has++ {
			r, err := s.Reader()
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(says(r, has), r.Close()); err != nil {
				t.Errorf("%s: %v", where, err)
			}
			if has == before {
				if _, err := s.Apply(c.batch(before).batch()); err != nil {
					t.Fatalf("%s: applied again: %v", where, err)
				}
			}
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: close: %v", where, err)
		}
		if !failed {
			t.Logf("%d operations failed one by one, of which %d were returned as errors", i, refused)
			break
		}
	}
	if refused < 3 {
		t.Errorf("only %d failures were returned as errors", refused)
	}
}

// TestFailureAfterTheCommitIsFatal: a journal that cannot be folded is noticed when the write is durable already.
// Returned as an error it would say that nothing was written.
func TestFailureAfterTheCommitIsFatal(t *testing.T) {
	o := testOptions(vfs.NewMem())
	o.JournalFoldKeep = 1
	var fatal error
	o.Fatal = func(err error) { fatal = err; panic(err) }
	s := openTest(t, o)
	apply(t, s, 0, event("a", "x", 1, 1, 0, 0))
	s.mu.base.Head.Digest[0] ^= 1
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the process goes on")
			}
		}()
		_, err := s.Apply((&delivered{Advances: []Advance{advance(1, 2)}, Records: []Record{event("b", "x", 1, 1, 1, 1)}}).batch())
		t.Errorf("Apply returned: %v", err)
	}()
	if !errors.Is(fatal, ErrDamaged) {
		t.Errorf("the process ends with %v", fatal)
	}
}
