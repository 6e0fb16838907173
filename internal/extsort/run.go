package extsort

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	// A Merger's buffer of a run is between these; runs are written maxRunBuffer bytes at a time.
	minRunBuffer = 16 << 10
	maxRunBuffer = 256 << 10
	// runMarks is how many places a run has where reading can begin.
	runMarks = 32
)

// Run is a part of a file that has rows in the order of their keys. Any number of Mergers may read it at once.
//
// It is front-coded. A row is three uvarints (the length of the prefix that its key shares with the key before, the
// length of the rest of the key, the length of the value), then the rest of the key, then the value. At a mark
// nothing of the key is left out.
type Run struct {
	file  File
	end   int64
	rows  int
	marks []mark // ascending; the first is at the first row
}

// mark is a row whose key is stored whole, so that reading may begin there.
type mark struct {
	key []byte
	at  int64 // in the file
}

// Rows is the number of rows in the run.
func (r *Run) Rows() int { return r.rows }

// writeRun writes rows to the end of a file that has size bytes, as a run. It reports the size after it.
func writeRun(file File, size int64, rows *Rows) (Run, int64, error) {
	r := Run{file: file, rows: rows.Len()}
	every := (rows.Len() + runMarks - 1) / runMarks
	out := make([]byte, 0, min(maxRunBuffer, rows.Bytes()+16*rows.Len()))
	var last []byte
	n := 0
	for refs := rows.Sort(); len(refs) > 0; {
		near := refs[:min(len(refs), PrefetchRows)]
		rows.Prefetch(near)
		for _, ref := range near {
			key, value, _ := rows.Row(ref.Row)
			if len(key) > MaxKeyBytes {
				return Run{}, size, fmt.Errorf("write run: key of %d bytes, the limit is %d", len(key), MaxKeyBytes)
			}
			common := 0
			if n%every == 0 {
				r.marks = append(r.marks, mark{append([]byte(nil), key...), size + int64(len(out))})
			} else {
				common = commonPrefix(last, key)
			}
			n++
			out = binary.AppendUvarint(out, uint64(common))
			out = binary.AppendUvarint(out, uint64(len(key)-common))
			out = binary.AppendUvarint(out, uint64(len(value)))
			out = append(append(out, key[common:]...), value...)
			last = key
		}
		refs = refs[len(near):]
		if len(out) >= maxRunBuffer-minRunBuffer || len(refs) == 0 {
			if _, err := file.Write(out); err != nil {
				return Run{}, size, fmt.Errorf("write run: %w", err)
			}
			size += int64(len(out))
			out = out[:0]
		}
	}
	r.end = size
	return r, size, nil
}

// runReader reads a run from one of its marks on. key and value are valid until next is called again.
type runReader struct {
	Run
	at         int64 // in the file, of what is read next
	buf        []byte
	rest       []byte // of buf: what next has not returned
	key, value []byte
	common     int  // length of the prefix that key shares with the key before
	begun      bool // key is a row's
}

// reader reads from the last mark before low on, with a buffer of size bytes.
func (r *Run) reader(low []byte, size int) *runReader {
	at := r.marks[0].at
	for _, m := range r.marks[1:] {
		if string(m.key) >= string(low) {
			break
		}
		at = m.at
	}
	return &runReader{Run: *r, at: at, buf: make([]byte, 0, min(int64(size), r.end-at))}
}

// next reads the next row. io.EOF after the last.
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
	var common, more, size uint64
	n := 3
	if b := r.rest; len(b) >= 3 && b[0]|b[1]|b[2] < 0x80 { // most lengths take a byte
		common, more, size = uint64(b[0]), uint64(b[1]), uint64(b[2])
	} else if common, more, size, n = lengths(b); n == 0 {
		return fmt.Errorf("%w: unreadable lengths of a row", ErrDamaged)
	}
	left := uint64(r.end-r.at) + uint64(len(r.rest)-n) // of the run
	if common > uint64(len(r.key)) || more > left || size > left-more || common+more > MaxKeyBytes {
		return fmt.Errorf("%w: a row's lengths are beyond the run's end", ErrDamaged)
	}
	if need := n + int(more+size); len(r.rest) < need {
		if err := r.fill(need); err != nil {
			return err
		}
	}
	suffix := r.rest[n : n+int(more)]
	shared := int(common)
	if common == 0 { // a mark: the prefix is there, too
		shared = commonPrefix(r.key, suffix)
	}
	// The first byte in which the keys differ must be the greater, or the key before a prefix of this one.
	if r.begun && shared < len(r.key) && (shared == int(common+more) || suffix[shared-int(common)] <= r.key[shared]) {
		return fmt.Errorf("%w: rows do not ascend", ErrDamaged)
	}
	r.begun, r.common = true, shared
	r.key = append(r.key[:common], suffix...)
	r.value = r.rest[n+int(more) : n+int(more+size)]
	r.rest = r.rest[n+int(more+size):]
	return nil
}

// lengths reads three uvarints and how many bytes they take; n is 0 if they are not there.
func lengths(b []byte) (common, more, size uint64, n int) {
	for _, v := range [...]*uint64{&common, &more, &size} {
		m := 0
		if *v, m = binary.Uvarint(b[n:]); m <= 0 {
			return 0, 0, 0, 0
		}
		n += m
	}
	return common, more, size, n
}

// fill reads from the file until there are n bytes that were not returned, or all that are left of the run.
func (r *runReader) fill(n int) error {
	r.buf = append(r.buf[:0], r.rest...)
	if n > cap(r.buf) {
		r.buf = append(make([]byte, 0, n+minRunBuffer), r.buf...)
	}
	have := len(r.buf)
	want := int(min(int64(cap(r.buf)-have), r.end-r.at))
	r.buf = r.buf[:have+want]
	if want > 0 {
		// ReadAt may say io.EOF of a read that ends where the file does. Of one that is short, io.EOF would be
		// taken for the run's end.
		switch got, err := r.file.ReadAt(r.buf[have:], r.at); {
		case got == want:
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%w: the file ends %d bytes early", ErrDamaged, want-got)
		default:
			return fmt.Errorf("read run: %w", err)
		}
	}
	r.at += int64(want)
	r.rest = r.buf
	return nil
}
