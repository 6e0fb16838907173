package delivery

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"daybook/internal/billing"
	"daybook/internal/disk"
)

// The first bytes of a file of ids.
const idsMagic = "daybook ids 1\n"

// Buffer sizes of one file of ids. Many files may be open at once.
const (
	idsBuffer = 64 << 10
	idsWindow = 256 << 10 // of zstd
	maxKey    = 64 + 1 + billing.MaxIDBytes
)

// idsWriter writes one file of ids, ascending: create, add, close. The zstd
// frame carries a checksum.
type idsWriter struct {
	name string
	file disk.File
	zstd *zstd.Encoder
	buf  *bufio.Writer
	last Entry
	n    int64

	closed bool
}

func createIDs(fsys disk.FS, name string) (*idsWriter, error) {
	file, err := fsys.Create(name)
	if err != nil {
		return nil, err
	}
	z, err := zstd.NewWriter(file, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(idsWindow))
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	w := &idsWriter{name: name, file: file, zstd: z, buf: bufio.NewWriterSize(z, idsBuffer)}
	_, err = w.buf.WriteString(idsMagic)
	return w, err
}

// add appends an entry. Its key must be greater than that of the last one.
func (w *idsWriter) add(e *Entry) error {
	if w.n > 0 && e.key <= w.last.key {
		return fmt.Errorf("id %q does not follow %q", e.key, w.last.key)
	}
	shared := 0
	for shared < min(len(e.key), len(w.last.key)) && e.key[shared] == w.last.key[shared] {
		shared++
	}
	var head [5 * binary.MaxVarintLen64]byte
	b := binary.AppendUvarint(head[:0], uint64(shared))
	b = binary.AppendUvarint(b, uint64(len(e.key)-shared))
	if _, err := w.buf.Write(b); err != nil {
		return err
	}
	if _, err := w.buf.WriteString(e.key[shared:]); err != nil {
		return err
	}
	flags := uint64(0)
	if e.Deleted {
		flags = 1
	}
	b = binary.AppendVarint(head[:0], int64(e.Day-w.last.Day))
	b = binary.AppendVarint(b, int64(e.At-w.last.At))
	b = binary.AppendUvarint(b, flags)
	_, err := w.buf.Write(b)
	w.last = *e
	w.n++
	return err
}

// close completes the file and optionally makes its content durable. The directory entry is not durable.
func (w *idsWriter) close(durable bool) error {
	w.closed = true
	err := errors.Join(w.buf.Flush(), w.zstd.Close())
	if err == nil && durable {
		err = w.file.Sync()
	}
	return errors.Join(err, w.file.Close())
}

// abandon closes the file after an error, unless it is closed already.
func (w *idsWriter) abandon() {
	if w.closed {
		return
	}
	w.closed = true
	_ = w.zstd.Close()
	_ = w.file.Close()
}

// idsReader reads one file of ids. Its errors are ErrDamaged or those of the disk.
type idsReader struct {
	name string
	file disk.File
	zstd *zstd.Decoder
	buf  *bufio.Reader
	key  []byte
	last Entry
}

func openIDs(fsys disk.FS, name string) (*idsReader, error) {
	file, err := fsys.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s is gone", ErrDamaged, name)
	}
	if err != nil {
		return nil, err
	}
	z, err := zstd.NewReader(bufio.NewReaderSize(file, idsBuffer), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(idsWindow))
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	r := &idsReader{name: name, file: file, zstd: z, buf: bufio.NewReaderSize(z, idsBuffer)}
	magic := make([]byte, len(idsMagic))
	if _, err := io.ReadFull(r.buf, magic); err != nil || string(magic) != idsMagic {
		r.close()
		return nil, fmt.Errorf("%w: %s does not begin as one", ErrDamaged, name)
	}
	return r, nil
}

// next returns the next entry; ok is false at the end.
func (r *idsReader) next() (e Entry, ok bool, err error) {
	shared, err := binary.ReadUvarint(r.buf)
	if errors.Is(err, io.EOF) {
		return Entry{}, false, nil
	}
	if err != nil {
		return Entry{}, false, r.damaged(err)
	}
	suffix, err := binary.ReadUvarint(r.buf)
	if err == nil && (shared > uint64(len(r.key)) || suffix > maxKey || shared+suffix > maxKey) {
		err = errors.New("a key is too long")
	}
	if err != nil {
		return Entry{}, false, r.damaged(err)
	}
	r.key = append(r.key[:shared], make([]byte, suffix)...)
	if _, err = io.ReadFull(r.buf, r.key[shared:]); err != nil {
		return Entry{}, false, r.damaged(err)
	}
	day, errDay := binary.ReadVarint(r.buf)
	at, errAt := binary.ReadVarint(r.buf)
	flags, errFlags := binary.ReadUvarint(r.buf)
	if err = errors.Join(errDay, errAt, errFlags); err != nil {
		return Entry{}, false, r.damaged(err)
	}
	r.last = Entry{
		key: string(r.key), Day: r.last.Day + billing.Day(day), At: r.last.At + billing.Instant(at), Deleted: flags&1 != 0,
	}
	return r.last, true, nil
}

func (r *idsReader) damaged(err error) error {
	return fmt.Errorf("%w: %s: %w", ErrDamaged, r.name, err)
}

func (r *idsReader) close() {
	r.zstd.Close()
	_ = r.file.Close() // nothing was written
}
