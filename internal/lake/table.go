package lake

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"daybook/internal/billing"
)

// pageRows is the most rows of a page. A column of long texts has smaller ones: of pageBytes, and what comes until
// somebody looks, each pageLook rows.
const (
	pageRows  = 8 << 10
	pageBytes = 1 << 20
	pageLook  = 64
)

// magic begins and ends a Parquet file.
const magic = "PAR1"

// rowGroupRows is the most rows of a row group of events: few, so that most of a file is taken over as it is
// where a few of its accounts changed. Other files are written whole, with as many as totalsGroupRows.
const (
	rowGroupRows    = 8 << 10
	totalsGroupRows = 128 << 10
)

// fileBuffer is how many bytes are handed to the file at once.
const fileBuffer = 64 << 10

// hashedFile is a file being written, with the hash of what went in.
type hashedFile struct {
	file   vfs.File
	buffer *bufio.Writer // to file
	hash   hash.Hash
	bytes  int64
}

func (h *hashedFile) Write(p []byte) (int, error) {
	h.hash.Write(p) // before the file, which may change p
	h.bytes += int64(len(p))
	return h.buffer.Write(p)
}

// table writes one Parquet file: values into its columns and endRow, cut or keep, close.
type table struct {
	out     *hashedFile
	layout  *layout
	columns []*column
	notes   []format.KeyValue // for the footer
	groups  []format.RowGroup
	indexes []format.ColumnIndex // of all columns of all groups
	places  []format.OffsetIndex
	rows    int64 // of the file
	inGroup int64 // that were ended in the row group in hand
	sum     billing.Money
}

func newTable(fsys FS, name string, l *layout) (*table, error) {
	file, err := fsys.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	out := &hashedFile{file: file, buffer: bufio.NewWriterSize(file, fileBuffer), hash: sha256.New()}
	t := &table{out: out, layout: l, columns: l.take()}
	if _, err := io.WriteString(out, magic); err != nil {
		t.abandon()
		return nil, err
	}
	return t, nil
}

// endRow ends a row: each column has taken a value of it.
func (t *table) endRow() error {
	if t.inGroup++; t.inGroup%pageLook != 0 {
		return nil
	}
	for _, c := range t.columns {
		if t.inGroup%pageRows != 0 && len(c.data) < pageBytes {
			continue
		}
		if err := c.endPages(c.rows); err != nil {
			return err
		}
	}
	if t.inGroup == totalsGroupRows {
		return t.cut()
	}
	return nil
}

// cut ends the row group with the rows that are held.
func (t *table) cut() error {
	for _, c := range t.columns {
		if err := c.endPages(c.rows); err != nil {
			return err
		}
	}
	return t.endGroup()
}

// endGroup ends the row group, of which all pages are there.
func (t *table) endGroup() error {
	g := format.RowGroup{NumRows: t.columns[0].total, FileOffset: t.out.bytes}
	if t.inGroup = 0; g.NumRows == 0 {
		return nil
	}
	for _, c := range t.columns {
		chunk, index, places, err := c.end()
		if err != nil {
			return err
		}
		if c.words != nil {
			chunk.MetaData.DictionaryPageOffset = t.out.bytes
		}
		shift(&chunk, &places, t.out.bytes)
		for _, pages := range []*bytes.Buffer{&c.first, &c.pages} {
			if _, err := t.out.Write(pages.Bytes()); err != nil {
				return err
			}
		}
		g.Columns = append(g.Columns, chunk)
		g.TotalByteSize += chunk.MetaData.TotalUncompressedSize
		g.TotalCompressedSize += chunk.MetaData.TotalCompressedSize
		t.indexes, t.places = append(t.indexes, index), append(t.places, places)
		c.reset()
	}
	return t.enter(g)
}

// enter takes a row group into the footer, which numbers them.
func (t *table) enter(g format.RowGroup) error {
	if len(t.groups) == math.MaxInt16 {
		return fmt.Errorf("more than %d row groups", math.MaxInt16)
	}
	t.rows += g.NumRows
	g.Ordinal = int16(len(t.groups))
	t.groups = append(t.groups, g)
	return nil
}

// shift moves a chunk's offsets.
func shift(c *format.ColumnChunk, places *format.OffsetIndex, by int64) {
	c.MetaData.DataPageOffset += by
	for i := range places.PageLocations {
		places.PageLocations[i].Offset += by
	}
}

// add adds to the file's sum.
func (t *table) add(m billing.Money) error {
	sum, ok := t.sum.Add(m)
	if !ok || !m.InRange() {
		return fmt.Errorf("the sum of the file leaves DECIMAL(38,18) at %s + %s", t.sum, m)
	}
	t.sum = sum
	return nil
}

// keep takes over a row group of a released file, as bytes.
func (t *table) keep(r *ReleasedEvents, group int) error {
	data, err := r.bytes(group)
	if err != nil {
		return err
	}
	g := r.file.Metadata().RowGroups[group]
	by := t.out.bytes - g.FileOffset
	g.FileOffset = t.out.bytes
	g.Columns = slices.Clone(g.Columns)
	for i := range g.Columns {
		at := group*len(g.Columns) + i
		if at >= len(r.file.ColumnIndexes()) || at >= len(r.file.OffsetIndexes()) {
			return fmt.Errorf("take over row group %d: %w: it has no page index", group, ErrDamaged)
		}
		c, places := &g.Columns[i], r.file.OffsetIndexes()[at]
		places.PageLocations = slices.Clone(places.PageLocations)
		if c.MetaData.DictionaryPageOffset != 0 {
			c.MetaData.DictionaryPageOffset += by
		}
		shift(c, &places, by)
		t.indexes, t.places = append(t.indexes, r.file.ColumnIndexes()[at]), append(t.places, places)
	}
	if _, err := t.out.Write(bytes.Clone(data)); err != nil { // the file may change what it is given
		return err
	}
	return t.enter(g)
}

// close finishes the file, and fills in what the manifest says of its bytes.
func (t *table) close(b *Build, f *File) error {
	err := t.cut()
	if err == nil {
		err = t.footer()
	}
	if err == nil {
		err = t.out.buffer.Flush()
	}
	if err != nil {
		t.abandon()
		return err
	}
	t.layout.give(t.columns)
	b.finish(t.out.file)
	f.Rows, f.Bytes, f.SHA256 = t.rows, t.out.bytes, hex.EncodeToString(t.out.hash.Sum(nil))
	return nil
}

// footer writes the page indexes and the footer.
func (t *table) footer() error {
	var b bytes.Buffer
	encoder := thrift.NewEncoder(compact.NewWriter(&b))
	at := func() int64 { return t.out.bytes + int64(b.Len()) }
	chunk := func(i int) *format.ColumnChunk { return &t.groups[i/len(t.columns)].Columns[i%len(t.columns)] }
	for i := range t.indexes {
		c, from := chunk(i), at()
		if err := encoder.Encode(&t.indexes[i]); err != nil {
			return err
		}
		c.ColumnIndexOffset, c.ColumnIndexLength = from, int32(at()-from)
	}
	for i := range t.places {
		c, from := chunk(i), at()
		if err := encoder.Encode(&t.places[i]); err != nil {
			return err
		}
		c.OffsetIndexOffset, c.OffsetIndexLength = from, int32(at()-from)
	}
	meta, from := t.layout.footer, at()
	meta.NumRows, meta.RowGroups, meta.KeyValueMetadata = t.rows, t.groups, t.notes
	if err := encoder.Encode(&meta); err != nil {
		return err
	}
	b.Write(binary.LittleEndian.AppendUint32(nil, uint32(at()-from)))
	b.WriteString(magic)
	_, err := t.out.Write(b.Bytes())
	return err
}

// abandon closes the file after an error.
func (t *table) abandon() { _ = t.out.file.Close() }
