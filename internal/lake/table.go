package lake

import (
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

// rowGroupRows is the most rows of a row group.
const rowGroupRows = 128 << 10

// codec is shared, because it keeps encoders for the next file. The next level costs a third of the
// speed and, with random event ids, saves nothing.
var codec = zstd.Codec{Level: zstd.SpeedFastest}

// hashedFile is a file being written, with the hash of what went in.
type hashedFile struct {
	file  vfs.File
	hash  hash.Hash
	bytes int64
}

func (h *hashedFile) Write(p []byte) (int, error) {
	h.hash.Write(p) // before the file, which may change p
	h.bytes += int64(len(p))
	return h.file.Write(p)
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
	out := &hashedFile{file: file, hash: sha256.New()}
	config := parquet.DefaultWriterConfig()
	config.Schema = schema
	config.CreatedBy = createdBy
	config.Compression = &codec
	config.DataPageStatistics = true
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

// close finishes the file, and fills in what the manifest says of its bytes.
func (t *table[T]) close(b *Build, f *File) error {
	if err := t.writer.Close(); err != nil {
		t.abandon()
		return err
	}
	b.finish(t.out.file)
	f.Rows, f.Bytes, f.SHA256 = t.rows, t.out.bytes, hex.EncodeToString(t.out.hash.Sum(nil))
	return nil
}

// abandon closes the file after an error.
func (t *table[T]) abandon() { _ = t.out.file.Close() }
