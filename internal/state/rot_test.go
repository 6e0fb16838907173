package state

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// rottenBatches is how many batches of a course the state has that rots.
const rottenBatches = 8

// sector is what a disk loses at once.
const sector = 512

// files are all files below a directory, by path.
func files(t *testing.T, fs vfs.FS, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		name = path.Join(dir, name)
		info, err := fs.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			maps.Copy(all, files(t, fs, name))
			continue
		}
		f, err := fs.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if all[name], err = io.ReadAll(f); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// onDisk makes a file system of files.
func onDisk(t *testing.T, all map[string][]byte) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewMem()
	for name, data := range all {
		if err := fs.MkdirAll(path.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(bytes.Clone(data)); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return fs
}

// rots calls try with each damage of the files of a state. older are those of an
// earlier moment. rng picks bits.
func rots(now, older map[string][]byte, rng *rand.Rand, try func(what string, damaged map[string][]byte)) {
	with := func(name string, data []byte) map[string][]byte {
		m := maps.Clone(now)
		m[name] = data
		return m
	}
	names := slices.Sorted(maps.Keys(now))
	for i, name := range names {
		data := now[name]
		gone := maps.Clone(now)
		delete(gone, name)
		try("deleted: "+name, gone)
		if was, ok := older[name]; ok && !bytes.Equal(was, data) {
			try("rolled back: "+name, with(name, was))
		}
		for _, other := range names[i+1:] {
			if path.Ext(other) == path.Ext(name) && len(data) > 0 && len(now[other]) > 0 && !bytes.Equal(data, now[other]) {
				swapped := with(name, now[other])
				swapped[other] = data
				try("swapped: "+name+" and "+other, swapped)
			}
		}
		for at := 0; at < len(data); at += sector {
			end := min(at+sector, len(data))
			where := fmt.Sprintf("%s at %d of %d", name, at, len(data))
			flipped := bytes.Clone(data)
			flipped[at+rng.IntN(end-at)] ^= 1 << rng.IntN(8)
			try("flipped: "+where, with(name, flipped))
			zeroed := bytes.Clone(data)
			clear(zeroed[at:end])
			try("zeroed: "+where, with(name, zeroed))
			try("truncated: "+where, with(name, data[:at]))
			if next := min(end+sector, len(data)); next > end && next-end == end-at {
				swapped := slices.Concat(data[:at], data[end:next], data[at:end], data[next:])
				try("sectors swapped: "+where, with(name, swapped))
			}
		}
	}
}

// TestRotIsNamedOrHarmless damages every sector of every file of a small state.
// What follows may only be a named refusal, faults that Check names, or a state
// that says exactly what it said after some batch, goes on from that batch's
// offset, and comes to the same end: the log has the rest.
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
		if _, err := s.Apply(c.batch(n)); err != nil {
			t.Fatal(err)
		}
		switch n {
		case rottenBatches - 4:
			older = files(t, fs, courseDir)
		case rottenBatches - 3:
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	now := files(t, fs, courseDir)
	for name, data := range now {
		t.Logf("%s: %d bytes", name, len(data))
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
		rots(now, older, rng, func(what string, damaged map[string][]byte) {
			tried++
			same, err := rotted(t, onDisk(t, damaged))
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
	if refused < 50 {
		t.Errorf("only %d damages were refused", refused)
	}
}

// errFatal wraps what ends the process.
var errFatal = errors.New("the process ends")

// rotted uses a damaged state: same says that it came to the same numbers, else
// it was refused by name. The error is a refusal without a name, or other numbers.
func rotted(t *testing.T, fs vfs.FS) (same bool, err error) {
	t.Helper()
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
