package state

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/test/rot"
)

// rottenBatches is how many batches of a course the state has that rots.
const rottenBatches = 8

// TestRotIsNamedOrHarmless damages every sector of every file of a small state.
// What follows may only be a named refusal, faults that Check names, or a state
// that says exactly what it said after some batch, goes on from that batch's
// offset, and reaches the same end: the log has the rest.
func TestRotIsNamedOrHarmless(t *testing.T) {
	fs := vfs.NewMem()
	c := newCourse(fs)
	if err := Create(courseDir, testIdentity(), c.o); err != nil {
		t.Fatal(err)
	}
	s, err := Open(courseDir, c.o)
	if err != nil {
		t.Fatal(err)
	}
	// Tables of several batches, a flushed WAL, and one that is not.
	var older map[string][]byte
	for n := range rottenBatches {
		if _, err := s.Apply(c.batch(n).batch()); err != nil {
			t.Fatal(err)
		}
		switch n {
		case rottenBatches - 4:
			if older, err = rot.Files(fs, courseDir); err != nil {
				t.Fatal(err)
			}
		case rottenBatches - 3:
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	now, err := rot.Files(fs, courseDir)
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 3))
	rounds := 1
	if sweepStride() == 1 {
		rounds = 20
	}
	tried, harmless, refused := 0, 0, 0
	for range rounds {
		rot.Each(now, older, rng, func(what string, damaged map[string][]byte) {
			tried++
			fs, err := rot.Disk(damaged)
			if err != nil {
				t.Fatal(err)
			}
			same, err := rotted(fs)
			switch {
			case err != nil:
				t.Errorf("%s: %v", what, err)
			case same:
				harmless++
			default:
				refused++
			}
		})
	}
	t.Logf("%d damages: %d refused by name, %d harmless", tried, refused, harmless)
	// How many files there are to damage depends on whether a compaction came before the end.
	if tried < 50 || 3*refused < tried {
		t.Errorf("only %d of %d damages were refused", refused, tried)
	}
}

// errFatal wraps what ends the process.
var errFatal = errors.New("the process ends")

// rotted uses a damaged state: same reports that it has the same numbers, else
// it was refused by name. The error is a refusal without a name, or other numbers.
func rotted(fs vfs.FS) (same bool, err error) {
	c := newCourse(fs)
	fatal := make(chan error, 100)
	c.o.Fatal = func(err error) {
		fatal <- fmt.Errorf("%w: %w", errFatal, err)
		select {}
	}
	type verdict struct {
		same bool
		err  error
	}
	done := make(chan verdict, 1)
	go func() {
		var v verdict
		defer func() {
			if p := recover(); p != nil {
				v.err = fmt.Errorf("a panic: %v", p)
			}
			done <- v
		}()
		v.same, v.err = c.use()
	}()
	select {
	case v := <-done:
		return v.same, v.err
	case err := <-fatal:
		if !errors.Is(err, ErrDamaged) {
			return false, fmt.Errorf("ends without a name: %w", err)
		}
		return false, nil
	}
}

// use reads all of a state, and goes on with it to the end of the course.
func (c *course) use() (same bool, err error) {
	named := func(err error) bool {
		return errors.Is(err, ErrDamaged) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrFormat)
	}
	refuse := func(err error) (bool, error) {
		if named(err) {
			return false, nil
		}
		return false, fmt.Errorf("refused without a name: %w", err)
	}
	r, err := OpenReader(courseDir, c.o)
	if err != nil {
		return refuse(err)
	}
	n, err := batches(r)
	if err == nil {
		var faults []Fault
		if faults, err = r.Check(nil); len(faults) > 0 {
			return false, r.Close()
		}
	}
	if err == nil {
		err = says(r, n)
	}
	if err := errors.Join(err, r.Close()); err != nil {
		return refuse(err)
	}
	if err := c.run(); err != nil {
		return refuse(err)
	}
	if r, err = OpenReader(courseDir, c.o); err != nil {
		return refuse(err)
	}
	if err := errors.Join(says(r, courseBatches), r.Close()); err != nil {
		return refuse(err)
	}
	return true, nil
}
