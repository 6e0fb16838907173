package parquet

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/parquet-go/parquet-go/encoding"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

const (
	// pageRows is the greatest number of rows of a page.
	pageRows = 8 << 10
	// pageBytes ends a page of strings that are not in a dictionary. It is looked at each pageCheckRows rows, so a page
	// can be larger by that many strings.
	pageBytes     = 1 << 20
	pageCheckRows = 64
)

// ColumnWriter buffers the values of one column and encodes them into pages. Each row takes one call of a method
// Append… that fits the column's type. AppendNull is for optional columns only.
type ColumnWriter struct {
	name         string
	kind         format.Type
	optional     bool
	uncompressed bool
	encoding     encoding.Encoding
	dictionary   *dictionary // nil: the pages hold the values themselves

	buffer columnBuffer

	// The current row group.
	pages             bytes.Buffer // the data pages
	dictionaryPage    bytes.Buffer
	index             format.ColumnIndex
	locations         []format.PageLocation // offsets count from the first data page
	rows              int64
	dictionarySize    int   // the length of the dictionary that the data pages need
	uncompressedBytes int64 // of all pages with their headers
	least, greatest   []byte

	values, compressed, levels []byte // of a page: memory for the next
}

func newColumnWriter(c *Column) *ColumnWriter {
	w := &ColumnWriter{
		name: c.Name, kind: c.kind(), optional: c.Optional, uncompressed: c.Uncompressed, encoding: c.encoding(),
	}
	if c.Dictionary {
		w.dictionary = newDictionary()
	}
	w.buffer.ends = append(w.buffer.ends, 0)
	return w
}

// AppendString adds a string. It keeps s only where the column has a dictionary.
func (w *ColumnWriter) AppendString(s string) {
	w.appendLevel()
	b := &w.buffer
	if w.dictionary != nil {
		b.ints = append(b.ints, w.dictionary.index(s))
		return
	}
	b.data = append(b.data, s...)
	b.ends = append(b.ends, uint32(len(b.data)))
}

// AppendStringOrNull adds a string, or null for an empty one.
func (w *ColumnWriter) AppendStringOrNull(s string) {
	if s == "" {
		w.AppendNull()
		return
	}
	w.AppendString(s)
}

// AppendDecimal adds a decimal.
func (w *ColumnWriter) AppendDecimal(d Decimal) {
	w.appendLevel()
	w.buffer.data = append(w.buffer.data, d[:]...)
}

// AppendInt64 adds an integer or, as microseconds since 1970, a timestamp.
func (w *ColumnWriter) AppendInt64(v int64) {
	w.appendLevel()
	w.buffer.longs = append(w.buffer.longs, v)
}

// AppendInt32 adds an integer or, as days since 1970, a date.
func (w *ColumnWriter) AppendInt32(v int32) {
	w.appendLevel()
	w.buffer.ints = append(w.buffer.ints, v)
}

// AppendBool adds a boolean.
func (w *ColumnWriter) AppendBool(v bool) {
	w.appendLevel()
	b := &w.buffer
	bit := b.rows - 1
	if bit%8 == 0 {
		b.data = append(b.data, 0)
	}
	if v {
		b.data[bit/8] |= 1 << (bit % 8)
	}
}

// AppendNull adds a null.
func (w *ColumnWriter) AppendNull() {
	w.buffer.rows++
	w.buffer.nulls++
	w.buffer.levels = append(w.buffer.levels, 0)
}

// DictionaryValues returns the values that are in the data pages of the current row group, in the order of their
// first occurrence; empty for a column without a dictionary. They are valid until the row group ends.
func (w *ColumnWriter) DictionaryValues() []string {
	if w.dictionary == nil {
		return nil
	}
	return w.dictionary.values[:w.dictionarySize]
}

// appendLevel counts a row that has a value.
func (w *ColumnWriter) appendLevel() {
	w.buffer.rows++
	if w.optional {
		w.buffer.levels = append(w.buffer.levels, 1)
	}
}

// encodePages encodes the first rows of the buffer into pages. The other rows stay in the buffer.
func (w *ColumnWriter) encodePages(rows int) error {
	rest := w.buffer
	for rows > 0 {
		var page columnBuffer
		page, rest = rest.split(w.pageLength(&rest, rows))
		if err := w.encodePage(&page); err != nil {
			return fmt.Errorf("encode column %s: %w", w.name, err)
		}
		rows -= page.rows
	}
	w.buffer.retain(rest)
	return nil
}

// pageLength returns how many of the first rows of a buffer make a page.
func (w *ColumnWriter) pageLength(b *columnBuffer, rows int) int {
	rows = min(rows, pageRows)
	if w.dictionary != nil || w.kind != format.ByteArray || len(b.data) < pageBytes {
		return rows
	}
	values := 0
	for n := 0; n+pageCheckRows < rows; {
		for range pageCheckRows {
			if !w.optional || b.levels[n] == 1 {
				values++
			}
			n++
		}
		if b.ends[values]-b.ends[0] >= pageBytes {
			return n
		}
	}
	return rows
}

// encodePage appends a data page to the row group.
func (w *ColumnWriter) encodePage(p *columnBuffer) (err error) {
	if w.values, err = w.encodeValues(w.values[:0], p); err != nil {
		return err
	}
	w.levels = w.levels[:0]
	if w.optional {
		if w.levels, err = levelEncoding.EncodeLevels(w.levels, p.levels); err != nil {
			return err
		}
	}
	least, greatest := w.bounds(p)
	nulls := int64(p.nulls)
	header := format.PageHeader{Type: format.DataPageV2}
	header.DataPageHeaderV2.Set(format.DataPageHeaderV2{
		NumValues: int32(p.rows), NumNulls: int32(nulls), NumRows: int32(p.rows),
		Encoding: w.encoding.Encoding(), DefinitionLevelsByteLength: int32(len(w.levels)),
		IsCompressed: thrift.New(!w.uncompressed),
		Statistics:   format.Statistics{NullCount: nulls, MinValue: least, MaxValue: greatest},
	})
	offset := w.pages.Len()
	if err := w.appendPage(&w.pages, &header, w.levels, w.values); err != nil {
		return err
	}
	w.locations = append(w.locations, format.PageLocation{
		Offset: int64(offset), CompressedPageSize: int32(w.pages.Len() - offset), FirstRowIndex: w.rows,
	})
	w.index.NullPages = append(w.index.NullPages, least == nil)
	w.index.MinValues, w.index.MaxValues = append(w.index.MinValues, least), append(w.index.MaxValues, greatest)
	w.index.NullCounts = append(w.index.NullCounts, nulls)
	w.rows += int64(p.rows)
	if least != nil {
		if w.least == nil || w.compare(least, w.least) < 0 {
			w.least = least
		}
		if w.greatest == nil || w.compare(greatest, w.greatest) > 0 {
			w.greatest = greatest
		}
	}
	return nil
}

// levelEncoding encodes definition levels of flat optional columns: one bit a row.
var levelEncoding = rle.Encoding{BitWidth: 1}

// encodeValues appends the values of a page to dst.
func (w *ColumnWriter) encodeValues(dst []byte, p *columnBuffer) ([]byte, error) {
	switch {
	case w.dictionary != nil:
		return w.encoding.EncodeInt32(dst, p.ints)
	case w.kind == format.ByteArray:
		return w.encoding.EncodeByteArray(dst, p.data[p.ends[0]:p.ends[len(p.ends)-1]], p.ends)
	case w.kind == format.FixedLenByteArray:
		return w.encoding.EncodeFixedLenByteArray(dst, p.data, len(Decimal{}))
	case w.kind == format.Int64:
		return w.encoding.EncodeInt64(dst, p.longs)
	case w.kind == format.Int32:
		return w.encoding.EncodeInt32(dst, p.ints)
	default:
		return w.encoding.EncodeBoolean(dst, p.data)
	}
}

// appendPage appends a page to dst: its header, the definition levels, and the values, which it compresses.
func (w *ColumnWriter) appendPage(dst *bytes.Buffer, header *format.PageHeader, levels, values []byte) error {
	stored := values
	if !w.uncompressed {
		w.compressed = compress(w.compressed[:0], values)
		stored = w.compressed
	}
	header.UncompressedPageSize = int32(len(levels) + len(values))
	header.CompressedPageSize = int32(len(levels) + len(stored))
	header.CRC = int32(crc32.Update(crc32.ChecksumIEEE(levels), crc32.IEEETable, stored))
	offset := dst.Len()
	if err := thrift.NewEncoder(compact.NewWriter(dst)).Encode(header); err != nil {
		return err
	}
	w.uncompressedBytes += int64(dst.Len()-offset) + int64(header.UncompressedPageSize)
	dst.Write(levels)
	dst.Write(stored)
	return nil
}

var compact thrift.CompactProtocol

// endChunk returns the column chunk of the row group and its page index. The chunk's bytes are dictionaryPage, then
// pages. All offsets count from the chunk's first byte.
func (w *ColumnWriter) endChunk() (chunk format.ColumnChunk, index format.ColumnIndex, offsets format.OffsetIndex, err error) {
	m := &chunk.MetaData
	m.Type, m.PathInSchema, m.Codec, m.NumValues = w.kind, []string{w.name}, format.Zstd, w.rows
	if w.uncompressed {
		m.Codec = format.Uncompressed
	}
	if w.optional {
		m.Encoding = append(m.Encoding, format.RLE)
	}
	m.Encoding = append(m.Encoding, w.encoding.Encoding())
	if w.dictionary != nil {
		header := format.PageHeader{Type: format.DictionaryPage}
		header.DictionaryPageHeader.Set(format.DictionaryPageHeader{NumValues: int32(w.dictionarySize), Encoding: format.Plain})
		values := appendPlain(w.values[:0], w.DictionaryValues())
		if err := w.appendPage(&w.dictionaryPage, &header, nil, values); err != nil {
			return chunk, index, offsets, fmt.Errorf("encode column %s: %w", w.name, err)
		}
		m.Encoding = append(m.Encoding, format.Plain)
		m.EncodingStats = append(m.EncodingStats, format.PageEncodingStats{
			PageType: format.DictionaryPage, Encoding: format.Plain, Count: 1,
		})
	}
	m.EncodingStats = append(m.EncodingStats, format.PageEncodingStats{
		PageType: format.DataPageV2, Encoding: w.encoding.Encoding(), Count: int32(len(w.locations)),
	})
	m.DataPageOffset = int64(w.dictionaryPage.Len())
	m.TotalUncompressedSize, m.TotalCompressedSize = w.uncompressedBytes, m.DataPageOffset+int64(w.pages.Len())
	m.Statistics = format.Statistics{MinValue: w.least, MaxValue: w.greatest}
	for i := range w.locations {
		w.locations[i].Offset += m.DataPageOffset
		m.Statistics.NullCount += w.index.NullCounts[i]
	}
	w.index.BoundaryOrder = w.boundaryOrder()
	return chunk, w.index, format.OffsetIndex{PageLocations: w.locations}, nil
}

// reset begins the next row group. Its first rows may be in the buffer already.
func (w *ColumnWriter) reset() {
	w.pages.Reset()
	w.dictionaryPage.Reset()
	w.index, w.locations, w.rows, w.uncompressedBytes = format.ColumnIndex{}, nil, 0, 0
	w.dictionarySize, w.least, w.greatest = 0, nil, nil
	if w.dictionary != nil {
		w.dictionary.retain(w.buffer.ints)
	}
}

// bounds returns the least and the greatest value of a page; nil where all are null.
func (w *ColumnWriter) bounds(p *columnBuffer) (least, greatest []byte) {
	if p.rows == p.nulls {
		return nil, nil
	}
	switch {
	case w.dictionary != nil:
		low, high, size := w.dictionary.bounds(p.ints)
		w.dictionarySize = max(w.dictionarySize, size)
		return []byte(low), []byte(high)
	case w.kind == format.Int64:
		low, high := slices.Min(p.longs), slices.Max(p.longs)
		return binary.LittleEndian.AppendUint64(nil, uint64(low)), binary.LittleEndian.AppendUint64(nil, uint64(high))
	case w.kind == format.Int32:
		low, high := slices.Min(p.ints), slices.Max(p.ints)
		return binary.LittleEndian.AppendUint32(nil, uint32(low)), binary.LittleEndian.AppendUint32(nil, uint32(high))
	case w.kind == format.Boolean:
		all, any := byte(1), byte(0)
		for i := range p.rows - p.nulls {
			bit := p.data[i/8] >> (i % 8) & 1
			all, any = all&bit, any|bit
		}
		return []byte{all}, []byte{any}
	case w.kind == format.FixedLenByteArray:
		const size = len(Decimal{})
		least, greatest = p.data[:size], p.data[:size]
		for i := size; i < len(p.data); i += size {
			if v := p.data[i : i+size]; compareDecimals(v, least) < 0 {
				least = v
			} else if compareDecimals(v, greatest) > 0 {
				greatest = v
			}
		}
		return bytes.Clone(least), bytes.Clone(greatest)
	}
	text := func(i int) []byte { return p.data[p.ends[i]:p.ends[i+1]] }
	least, greatest = text(0), text(0)
	for i := 1; i < len(p.ends)-1; i++ {
		if v := text(i); bytes.Compare(v, least) < 0 {
			least = v
		} else if bytes.Compare(v, greatest) > 0 {
			greatest = v
		}
	}
	return bytes.Clone(least), bytes.Clone(greatest)
}

// compare compares two values in the form that statistics have.
func (w *ColumnWriter) compare(a, b []byte) int {
	switch w.kind {
	case format.Int64:
		return cmp.Compare(int64(binary.LittleEndian.Uint64(a)), int64(binary.LittleEndian.Uint64(b)))
	case format.Int32:
		return cmp.Compare(int32(binary.LittleEndian.Uint32(a)), int32(binary.LittleEndian.Uint32(b)))
	case format.FixedLenByteArray:
		return compareDecimals(a, b)
	default:
		return bytes.Compare(a, b)
	}
}

// boundaryOrder reports whether the minima and maxima of the pages ascend or descend.
func (w *ColumnWriter) boundaryOrder() format.BoundaryOrder {
	ascending, descending, previous := true, true, -1
	for i, null := range w.index.NullPages {
		if null {
			continue
		}
		if previous >= 0 {
			low := w.compare(w.index.MinValues[previous], w.index.MinValues[i])
			high := w.compare(w.index.MaxValues[previous], w.index.MaxValues[i])
			ascending, descending = ascending && low <= 0 && high <= 0, descending && low >= 0 && high >= 0
		}
		previous = i
	}
	switch {
	case ascending:
		return format.Ascending
	case descending:
		return format.Descending
	default:
		return format.Unordered
	}
}
