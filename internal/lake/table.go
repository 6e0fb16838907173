package lake

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"daybook/internal/billing"
)

// The same rows give the same bytes only with the same number of rows a Write, so it is fixed.
const writeBatch = 1024

// rowGroupRows is the most rows of a row group of events: few, so that most of a file is taken over as it is
// where a few of its accounts changed. Other files are written whole, with as many as totalsGroupRows.
const (
	rowGroupRows    = 8 << 10
	totalsGroupRows = 128 << 10
)

// fileBuffer is how many bytes are handed to the file at once.
const fileBuffer = 64 << 10

// codec is shared, because it keeps encoders for the next file. The next level costs a third of the
// speed and, with random event ids, saves nothing.
var codec = zstd.Codec{Level: zstd.SpeedFastest}

// hashedFile is a file being written, with the hash of what went in.
type hashedFile struct {
	file   vfs.File
	buffer *bufio.Writer // to file
	hash   hash.Hash
	bytes  int64
	expect []byte // what is to be written next, while a row group is taken over
	differ bool   // something else was
}

func (h *hashedFile) Write(p []byte) (int, error) {
	if len(h.expect) > 0 {
		h.differ = h.differ || !bytes.HasPrefix(h.expect, p)
		h.expect = h.expect[min(len(p), len(h.expect)):]
	}
	h.hash.Write(p) // before the file, which may change p
	h.bytes += int64(len(p))
	return h.buffer.Write(p)
}

// table writes one Parquet file: create, write and cut, close.
type table[T any] struct {
	out    *hashedFile
	writer *parquet.GenericWriter[T]
	rows   int64
	sum    billing.Money
}

func newTable[T any](fsys FS, name string, schema *parquet.Schema) (*table[T], error) {
	file, err := fsys.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	out := &hashedFile{file: file, buffer: bufio.NewWriterSize(file, fileBuffer), hash: sha256.New()}
	config := parquet.DefaultWriterConfig()
	config.Schema = schema
	config.CreatedBy = createdBy
	config.Compression = &codec
	config.DataPageStatistics = true
	config.WriteBufferSize = -1 // none: what is written is compared at once
	return &table[T]{out: out, writer: parquet.NewGenericWriter[T](out, config)}, nil
}

// write appends rows; the caller bounds a row group by cut.
func (t *table[T]) write(rows []T) error {
	for len(rows) > 0 {
		n := min(writeBatch, len(rows))
		if _, err := t.writer.Write(rows[:n]); err != nil {
			return err
		}
		t.rows += int64(n)
		rows = rows[n:]
	}
	return nil
}

// add adds to the file's sum.
func (t *table[T]) add(m billing.Money) error {
	sum, ok := t.sum.Add(m)
	if !ok || !m.InRange() {
		return fmt.Errorf("the sum of the file leaves DECIMAL(38,18) at %s + %s", t.sum, m)
	}
	t.sum = sum
	return nil
}

// cut ends the row group.
func (t *table[T]) cut() error { return t.writer.Flush() }

// keep takes over a row group of a released file. parquet-go copies its bytes, or encodes its rows anew without a
// word, with wrong statistics of decimals (see decimal.go): so they are compared.
func (t *table[T]) keep(r *ReleasedEvents, group int) error {
	expect, err := r.bytes(group)
	if err != nil {
		return err
	}
	if t.out.bytes == 0 {
		expect = append([]byte("PAR1"), expect...)
	}
	t.out.expect, t.out.differ = expect, false
	var rows int64
	if err := guarded(func() (err error) {
		rows, err = t.writer.WriteRowGroup(r.file.RowGroups()[group])
		return err
	}); err != nil {
		return fmt.Errorf("take over row group %d: %w", group, err)
	}
	if t.out.differ || len(t.out.expect) > 0 || rows != r.notes[group].Rows {
		return fmt.Errorf("take over row group %d: it was encoded anew", group)
	}
	t.rows += rows
	return nil
}

// close finishes the file, and fills in what the manifest says of its bytes.
func (t *table[T]) close(b *Build, f *File) error {
	err := t.writer.Close()
	if err == nil {
		err = t.out.buffer.Flush()
	}
	if err != nil {
		t.abandon()
		return err
	}
	b.finish(t.out.file)
	f.Rows, f.Bytes, f.SHA256 = t.rows, t.out.bytes, hex.EncodeToString(t.out.hash.Sum(nil))
	return nil
}

// abandon closes the file after an error.
func (t *table[T]) abandon() { _ = t.out.file.Close() }
