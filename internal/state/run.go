package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/state/format"
)

const (
	// runBuffer is what a run that is read holds in memory at least, and greatBuffer at most; as much is written at once.
	runBuffer   = 16 << 10
	greatBuffer = 256 << 10
	// runMarks is in how many parts of equal size a run can be entered.
	runMarks = 32
)

// spool collects rows and writes them, whenever there are limit bytes of them, as a sorted run to
// a file. The file has no name, so that nothing of it is left by whatever ends the process. A key may
// come more than once, in no order. One goroutine at a time.
type spool struct {
	changes
	limit int
	file  vfs.File
	size  int64
	runs  []run
}

// run is a part of a file that holds rows in the order of their keys. A row is what its key has in
// common with the one before, the lengths of the rest and of the value, and these two.
type run struct {
	file  vfs.File
	end   int64
	rows  int
	marks []mark // ascending; the first is the first row
	last  []byte // the last key
}

// mark is a row whose key has nothing in common with the one before: reading may begin there.
type mark struct {
	key []byte
	at  int64 // in the file
}

// newSpool makes a spool whose file is in dir.
func newSpool(fs vfs.FS, dir, name string, limit int64) (*spool, error) {
	path := filepath.Join(dir, name)
	file, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fmt.Errorf("make run: %w", err)
	}
	if err := fs.Remove(path); err != nil {
		return nil, errors.Join(fmt.Errorf("make run: %w", err), file.Close())
	}
	return &spool{limit: int(limit), file: file}, nil
}

// spoolRow is what a row takes of a spool beside key and value: in changes.rows, and where it is sorted.
const spoolRow = 48

// spoolSome is how many rows show how large the others will be.
const spoolSome = 1 << 10

// reserve takes all memory that rows like those so far will need, once there are some: to let it grow would move
// every byte twice. It is made anew, because what a slice is grown by is cleared, and that is new memory already.
func (s *spool) reserve() {
	n := s.limit / (len(s.b)/len(s.rows) + spoolRow)
	s.rows = append(make([]rowChange, 0, len(s.rows)+n), s.rows...)
	s.b = append(make([]byte, 0, len(s.b)+s.limit-spoolRow*n), s.b...)
}

// spillFull writes a run once there are enough rows for one.
func (s *spool) spillFull() error {
	if len(s.rows) == spoolSome && len(s.runs) == 0 {
		s.reserve()
	}
	if len(s.b)+spoolRow*len(s.rows) < s.limit {
		return nil
	}
	return s.spill()
}

// spill writes what is collected as a run.
func (s *spool) spill() error {
	if len(s.rows) == 0 {
		return nil
	}
	r := run{file: s.file, rows: len(s.rows)}
	every := (len(s.rows) + runMarks - 1) / runMarks
	out := make([]byte, 0, greatBuffer)
	var last []byte
	n := 0
	sorter := s.sorter()
	for rows := sorter.sorted(); len(rows) > 0; {
		near := rows[:min(len(rows), touchAhead)]
		s.touch(near)
		for _, k := range near {
			key, value, _ := s.row(k.row)
			common := 0
			if n%every == 0 {
				r.marks = append(r.marks, mark{append([]byte(nil), key...), s.size + int64(len(out))})
			} else {
				common = commonBytes(last, key)
			}
			n++
			out = binary.AppendUvarint(out, uint64(common))
			out = binary.AppendUvarint(out, uint64(len(key)-common))
			out = binary.AppendUvarint(out, uint64(len(value)))
			out = append(append(out, key[common:]...), value...)
			last = key
		}
		rows = rows[len(near):]
		if len(out) >= greatBuffer-runBuffer || len(rows) == 0 {
			if _, err := s.file.Write(out); err != nil {
				return fmt.Errorf("write run: %w", err)
			}
			s.size += int64(len(out))
			out = out[:0]
		}
	}
	r.end, r.last = s.size, append([]byte(nil), last...)
	s.runs = append(s.runs, r)
	s.reset()
	return nil
}

// close lets go of the file and of the memory.
func (s *spool) close() error {
	if s == nil || s.file == nil {
		return nil
	}
	err := s.file.Close()
	*s = spool{}
	return err
}

// runReader reads a run from one of its marks on. key and value are valid until next.
type runReader struct {
	run
	at         int64 // where the file is read next
	buf        []byte
	rest       []byte // of buf: not passed on yet
	key, value []byte
	common     int // what the key has in common with the one before, in bytes
}

// open is a reader at the last mark before low, with a buffer of size bytes.
func (r *run) open(low []byte, size int) *runReader {
	at := r.marks[0].at
	for _, m := range r.marks[1:] {
		if string(m.key) >= string(low) {
			break
		}
		at = m.at
	}
	return &runReader{run: *r, at: at, buf: make([]byte, 0, size)}
}

// next goes to the next row; io.EOF after the last.
func (r *runReader) next() error {
	const head = 3 * binary.MaxVarintLen32
	if len(r.rest) < head {
		if err := r.fill(head); err != nil {
			return err
		}
		if len(r.rest) == 0 {
			return io.EOF
		}
	}
	f := format.Decoder{Rest: r.rest}
	common, more, size := int(f.Uvarint()), int(f.Uvarint()), int(f.Uvarint())
	if f.Bad || common > len(r.key) {
		return fmt.Errorf("%w: unreadable run", ErrDamaged)
	}
	if need := more + size; len(f.Rest) < need {
		passed := len(r.rest) - len(f.Rest)
		if err := r.fill(passed + need); err != nil {
			return err
		}
		if f.Rest = r.rest[passed:]; len(f.Rest) < need {
			return fmt.Errorf("%w: a run is cut", ErrDamaged)
		}
	}
	r.common = common
	if common == 0 { // at a mark nothing is left out
		r.common = commonBytes(r.key, f.Rest[:more])
	}
	r.key = append(r.key[:common], f.Rest[:more]...)
	r.value = f.Rest[more : more+size]
	r.rest = f.Rest[more+size:]
	return nil
}

// fill reads on, so that there are n bytes or more, or all that are left.
func (r *runReader) fill(n int) error {
	r.buf = append(r.buf[:0], r.rest...)
	if n > cap(r.buf) {
		r.buf = append(make([]byte, 0, n+runBuffer), r.buf...)
	}
	have := len(r.buf)
	want := int(min(int64(cap(r.buf)-have), r.end-r.at))
	r.buf = r.buf[:have+want]
	if want > 0 {
		if _, err := r.file.ReadAt(r.buf[have:], r.at); err != nil {
			return fmt.Errorf("read run: %w", err)
		}
	}
	r.at += int64(want)
	r.rest = r.buf
	return nil
}
