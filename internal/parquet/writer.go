package parquet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// magic begins and ends a Parquet file.
const magic = "PAR1"

// maxRowGroupRows is the number of rows after which EndRow ends a row group by itself.
const maxRowGroupRows = 128 << 10

// Writer writes one Parquet file. Rows go into Columns, one value into each; then
//
//   - EndRow after each row leaves pages and row groups to the Writer, or
//   - EncodePages and EndRowGroup let the caller choose where row groups end, and CopyRowGroup adds row groups of
//     another file between them.
//
// Close ends the file. Memory is bounded by a row group.
type Writer struct {
	out       io.Writer
	createdBy string
	offset    int64 // bytes written
	schema    *Schema
	columns   []*ColumnWriter

	// The footer.
	metadata      []format.KeyValue
	rowGroups     []format.RowGroup
	columnIndexes []format.ColumnIndex // of all columns of all row groups
	offsetIndexes []format.OffsetIndex
	rows          int64

	ended int // rows that EndRow ended in the current row group
}

// NewWriter begins a file. The Writer does not close out. It passes no slice to out.Write that is used again, so out
// may overwrite what it is given. createdBy names the application in the footer: readers of the Java world trust
// statistics only where it has the form "NAME version VERSION (build BUILD)".
func NewWriter(out io.Writer, schema *Schema, createdBy string) (*Writer, error) {
	w := &Writer{out: out, createdBy: createdBy, schema: schema}
	if err := w.write([]byte(magic)); err != nil {
		return nil, err
	}
	w.columns = schema.borrow()
	return w, nil
}

// Columns returns the columns in the order of the schema.
func (w *Writer) Columns() []*ColumnWriter { return w.columns }

// Rows returns the number of rows in row groups that have ended.
func (w *Writer) Rows() int64 { return w.rows }

// SetMetadata adds a key and a value to the footer.
func (w *Writer) SetMetadata(key, value string) {
	w.metadata = append(w.metadata, format.KeyValue{Key: key, Value: value})
}

// EndRow ends a row, after each column got a value or a null. It encodes pages and ends row groups that are full.
func (w *Writer) EndRow() error {
	if w.ended++; w.ended%pageCheckRows != 0 {
		return nil
	}
	for _, c := range w.columns {
		if w.ended%pageRows != 0 && len(c.buffer.data) < pageBytes {
			continue
		}
		if err := c.encodePages(c.buffer.rows); err != nil {
			return err
		}
	}
	if w.ended == maxRowGroupRows {
		return w.Flush()
	}
	return nil
}

// Flush ends the row group with all rows that are buffered. Without any it does nothing.
func (w *Writer) Flush() error {
	for _, c := range w.columns {
		if err := c.encodePages(c.buffer.rows); err != nil {
			return err
		}
	}
	return w.EndRowGroup()
}

// EncodePages encodes the first rows that are buffered into pages of the current row group. Later rows stay in the
// buffers, for the next row group.
func (w *Writer) EncodePages(rows int) error {
	for _, c := range w.columns {
		if err := c.encodePages(rows); err != nil {
			return err
		}
	}
	return nil
}

// EndRowGroup writes a row group of the encoded pages. Without any it does nothing.
func (w *Writer) EndRowGroup() error {
	w.ended = 0
	g := format.RowGroup{NumRows: w.columns[0].rows, FileOffset: w.offset}
	if g.NumRows == 0 {
		return nil
	}
	for _, c := range w.columns {
		chunk, index, offsets, err := c.endChunk()
		if err != nil {
			return err
		}
		if c.dictionary != nil {
			chunk.MetaData.DictionaryPageOffset = w.offset
		}
		moveChunk(&chunk, &offsets, w.offset)
		for _, pages := range []*bytes.Buffer{&c.dictionaryPage, &c.pages} {
			if err := w.write(pages.Bytes()); err != nil {
				return err
			}
		}
		g.Columns = append(g.Columns, chunk)
		g.TotalByteSize += chunk.MetaData.TotalUncompressedSize
		g.TotalCompressedSize += chunk.MetaData.TotalCompressedSize
		w.columnIndexes, w.offsetIndexes = append(w.columnIndexes, index), append(w.offsetIndexes, offsets)
		c.reset()
	}
	return w.addRowGroup(g)
}

// CopyRowGroup copies row group i of another file byte for byte, with its statistics and its page index. The file has
// to have the same schema and to have been opened by OpenIndexed.
func (w *Writer) CopyRowGroup(f *File, i int) error {
	data, err := f.rowGroupBytes(i)
	if err != nil {
		return fmt.Errorf("copy row group %d: %w", i, err)
	}
	g := f.file.Metadata().RowGroups[i]
	shift := w.offset - g.FileOffset
	g.FileOffset = w.offset
	g.Columns = slices.Clone(g.Columns)
	for j := range g.Columns {
		k := i*len(g.Columns) + j
		if k >= len(f.columnIndexes) || k >= len(f.offsetIndexes) {
			return fmt.Errorf("copy row group %d: %w: it has no page index", i, ErrCorrupt)
		}
		chunk, offsets := &g.Columns[j], f.offsetIndexes[k]
		offsets.PageLocations = slices.Clone(offsets.PageLocations)
		if chunk.MetaData.DictionaryPageOffset != 0 {
			chunk.MetaData.DictionaryPageOffset += shift
		}
		moveChunk(chunk, &offsets, shift)
		w.columnIndexes = append(w.columnIndexes, f.columnIndexes[k])
		w.offsetIndexes = append(w.offsetIndexes, offsets)
	}
	if err := w.write(data); err != nil {
		return err
	}
	return w.addRowGroup(g)
}

// Close ends the last row group and writes the page index and the footer. The Writer cannot be used afterwards.
func (w *Writer) Close() error {
	if err := w.Flush(); err != nil {
		return err
	}
	if err := w.writeFooter(); err != nil {
		return err
	}
	w.schema.giveBack(w.columns)
	w.columns = nil
	return nil
}

// addRowGroup adds a row group to the footer.
func (w *Writer) addRowGroup(g format.RowGroup) error {
	if len(w.rowGroups) == math.MaxInt16 {
		return fmt.Errorf("more than %d row groups", math.MaxInt16)
	}
	w.rows += g.NumRows
	g.Ordinal = int16(len(w.rowGroups))
	w.rowGroups = append(w.rowGroups, g)
	return nil
}

// writeFooter writes the page indexes and the footer.
func (w *Writer) writeFooter() error {
	empty, err := w.schema.footer()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	encoder := thrift.NewEncoder(compact.NewWriter(&b))
	offset := func() int64 { return w.offset + int64(b.Len()) }
	chunk := func(i int) *format.ColumnChunk { return &w.rowGroups[i/len(w.columns)].Columns[i%len(w.columns)] }
	for i := range w.columnIndexes {
		c, start := chunk(i), offset()
		if err := encoder.Encode(&w.columnIndexes[i]); err != nil {
			return err
		}
		c.ColumnIndexOffset, c.ColumnIndexLength = start, int32(offset()-start)
	}
	for i := range w.offsetIndexes {
		c, start := chunk(i), offset()
		if err := encoder.Encode(&w.offsetIndexes[i]); err != nil {
			return err
		}
		c.OffsetIndexOffset, c.OffsetIndexLength = start, int32(offset()-start)
	}
	footer, start := *empty, offset()
	footer.CreatedBy, footer.NumRows, footer.RowGroups, footer.KeyValueMetadata = w.createdBy, w.rows, w.rowGroups, w.metadata
	if err := encoder.Encode(&footer); err != nil {
		return err
	}
	b.Write(binary.LittleEndian.AppendUint32(nil, uint32(offset()-start)))
	b.WriteString(magic)
	return w.write(b.Bytes())
}

func (w *Writer) write(p []byte) error {
	n := int64(len(p))
	_, err := w.out.Write(p)
	w.offset += n
	return err
}

// moveChunk adds shift to the offsets of a chunk's data pages.
func moveChunk(c *format.ColumnChunk, offsets *format.OffsetIndex, shift int64) {
	c.MetaData.DataPageOffset += shift
	for i := range offsets.PageLocations {
		offsets.PageLocations[i].Offset += shift
	}
}
