package lake

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"daybook/internal/billing"
)

// column gathers the values of one column and encodes them, page by page, for the row group in hand. Encodings
// are parquet-go's; its writer is not used: it takes rows by reflection, in three times the time, and v0.32.0 orders
// decimals as unsigned bytes in minima and maxima, and takes some nulls for empty strings.
type column struct {
	name     string
	kind     format.Type
	optional bool
	encoding encoding.Encoding
	bare     bool   // pages are not packed
	words    *words // nil: values lie in the pages themselves

	held // rows that are in no page yet

	// The row group.
	pages    bytes.Buffer // as in the file, the dictionary's not among them
	first    bytes.Buffer // the dictionary's page
	index    format.ColumnIndex
	places   []format.PageLocation // from the first data page
	total    int64                 // rows
	named    int                   // the first so many words are in pages
	unpacked int64                 // bytes of all pages, were they not packed
	least    []byte
	greatest []byte

	values, packed, runs []byte // of a page, kept for the next
}

// newColumn is the column of a schema's field.
func newColumn(f parquet.Field) *column {
	c := &column{name: f.Name(), kind: format.Type(f.Type().Kind()), optional: f.Optional(), encoding: f.Encoding()}
	switch {
	case c.encoding != nil && c.encoding.Encoding() == format.RLEDictionary:
		c.words = newWords()
	case c.encoding == nil && c.kind == format.ByteArray:
		c.encoding = &parquet.DeltaLengthByteArray
	case c.encoding == nil:
		c.encoding = &parquet.Plain
	}
	c.bare = f.Compression() != nil && f.Compression().CompressionCodec() == format.Uncompressed
	c.ends = append(c.ends, 0)
	return c
}

// textOrNull takes a text, null for an empty one.
func (c *column) textOrNull(s string) {
	if s == "" {
		c.null()
		return
	}
	c.text(s)
}

func (c *column) text(s string) {
	c.value()
	if c.words != nil {
		c.ints = append(c.ints, c.words.place(s))
		return
	}
	c.data = append(c.data, s...)
	c.ends = append(c.ends, uint32(len(c.data)))
}

func (c *column) money(m billing.Money) {
	c.value()
	d := decimalOf(m)
	c.data = append(c.data, d[:]...)
}

func (c *column) moneyOrNull(m billing.Money, has bool) {
	if !has {
		c.null()
		return
	}
	c.money(m)
}

func (c *column) int64(v int64) {
	c.value()
	c.longs = append(c.longs, v)
}

func (c *column) int32(v int32) {
	c.value()
	c.ints = append(c.ints, v)
}

func (c *column) bool(v bool) {
	c.value()
	bit := c.rows - 1
	if bit%8 == 0 {
		c.data = append(c.data, 0)
	}
	if v {
		c.data[bit/8] |= 1 << (bit % 8)
	}
}

// value counts a row that has one.
func (c *column) value() {
	c.rows++
	if c.optional {
		c.levels = append(c.levels, 1)
	}
}

func (c *column) null() {
	c.rows++
	c.nulls++
	c.levels = append(c.levels, 0)
}

// endPages encodes the first rows of those held, as many as a page takes at once. The others are the next row group's.
func (c *column) endPages(rows int) error {
	rest := c.held
	for rows > 0 {
		var page held
		page, rest = rest.split(c.pageEnd(&rest, rows))
		if err := c.endPage(&page); err != nil {
			return fmt.Errorf("encode column %s: %w", c.name, err)
		}
		rows -= page.rows
	}
	c.keep(rest)
	return nil
}

// pageEnd is how many of the first rows held make a page. A column of long texts has smaller ones.
func (c *column) pageEnd(h *held, rows int) int {
	rows = min(rows, pageRows)
	if c.words != nil || c.kind != format.ByteArray || len(h.data) < pageBytes {
		return rows
	}
	values := 0
	for n := 0; n+pageLook < rows; {
		for range pageLook {
			if !c.optional || h.levels[n] == 1 {
				values++
			}
			n++
		}
		if h.ends[values]-h.ends[0] >= pageBytes {
			return n
		}
	}
	return rows
}

// endPage encodes a page.
func (c *column) endPage(p *held) (err error) {
	if c.values, err = c.encode(c.values[:0], p); err != nil {
		return err
	}
	c.runs = c.runs[:0]
	if c.optional {
		if c.runs, err = levels.EncodeLevels(c.runs, p.levels); err != nil {
			return err
		}
	}
	least, greatest := c.bounds(p)
	nulls := int64(p.nulls)
	header := format.PageHeader{Type: format.DataPageV2}
	header.DataPageHeaderV2.Set(format.DataPageHeaderV2{
		NumValues: int32(p.rows), NumNulls: int32(nulls), NumRows: int32(p.rows),
		Encoding: c.encoding.Encoding(), DefinitionLevelsByteLength: int32(len(c.runs)),
		IsCompressed: thrift.New(!c.bare),
		Statistics:   format.Statistics{NullCount: nulls, MinValue: least, MaxValue: greatest},
	})
	at := c.pages.Len()
	if err := c.page(&c.pages, &header, c.runs, c.values); err != nil {
		return err
	}
	c.places = append(c.places, format.PageLocation{Offset: int64(at), CompressedPageSize: int32(c.pages.Len() - at), FirstRowIndex: c.total})
	c.index.NullPages = append(c.index.NullPages, least == nil)
	c.index.MinValues, c.index.MaxValues = append(c.index.MinValues, least), append(c.index.MaxValues, greatest)
	c.index.NullCounts = append(c.index.NullCounts, nulls)
	c.total += int64(p.rows)
	if least != nil {
		if c.least == nil || c.compare(least, c.least) < 0 {
			c.least = least
		}
		if c.greatest == nil || c.compare(greatest, c.greatest) > 0 {
			c.greatest = greatest
		}
	}
	return nil
}

// levels encodes whether values are there.
var levels = rle.Encoding{BitWidth: 1}

// encode appends the values of a page.
func (c *column) encode(to []byte, p *held) ([]byte, error) {
	switch {
	case c.words != nil:
		return c.encoding.EncodeInt32(to, p.ints)
	case c.kind == format.ByteArray:
		return c.encoding.EncodeByteArray(to, p.data[p.ends[0]:p.ends[len(p.ends)-1]], p.ends)
	case c.kind == format.FixedLenByteArray:
		return c.encoding.EncodeFixedLenByteArray(to, p.data, len(decimal{}))
	case c.kind == format.Int64:
		return c.encoding.EncodeInt64(to, p.longs)
	case c.kind == format.Int32:
		return c.encoding.EncodeInt32(to, p.ints)
	default:
		return c.encoding.EncodeBoolean(to, p.data)
	}
}

// page appends a page: its header, whether values are there, and the values, which are packed here.
func (c *column) page(to *bytes.Buffer, header *format.PageHeader, runs, values []byte) error {
	stored := values
	if !c.bare {
		c.packed = pack(c.packed[:0], values)
		stored = c.packed
	}
	header.UncompressedPageSize, header.CompressedPageSize = int32(len(runs)+len(values)), int32(len(runs)+len(stored))
	header.CRC = int32(crc32.Update(crc32.ChecksumIEEE(runs), crc32.IEEETable, stored))
	at := to.Len()
	if err := thrift.NewEncoder(compact.NewWriter(to)).Encode(header); err != nil {
		return err
	}
	c.unpacked += int64(to.Len()-at) + int64(header.UncompressedPageSize)
	to.Write(runs)
	to.Write(stored)
	return nil
}

var compact thrift.CompactProtocol

// end ends the row group's column, of which all pages are there, in first and pages. The chunk's offsets, and the
// places of its pages, count from the chunk's first byte.
func (c *column) end() (chunk format.ColumnChunk, index format.ColumnIndex, places format.OffsetIndex, err error) {
	m := &chunk.MetaData
	m.Type, m.PathInSchema, m.Codec, m.NumValues = c.kind, []string{c.name}, format.Zstd, c.total
	if c.bare {
		m.Codec = format.Uncompressed
	}
	if c.optional {
		m.Encoding = append(m.Encoding, format.RLE)
	}
	m.Encoding = append(m.Encoding, c.encoding.Encoding())
	if c.words != nil {
		header := format.PageHeader{Type: format.DictionaryPage}
		header.DictionaryPageHeader.Set(format.DictionaryPageHeader{NumValues: int32(c.named), Encoding: format.Plain})
		if err := c.page(&c.first, &header, nil, plain(c.values[:0], c.words.all[:c.named])); err != nil {
			return chunk, index, places, fmt.Errorf("encode column %s: %w", c.name, err)
		}
		m.Encoding = append(m.Encoding, format.Plain)
		m.EncodingStats = append(m.EncodingStats, format.PageEncodingStats{PageType: format.DictionaryPage, Encoding: format.Plain, Count: 1})
	}
	m.EncodingStats = append(m.EncodingStats, format.PageEncodingStats{PageType: format.DataPageV2, Encoding: c.encoding.Encoding(), Count: int32(len(c.places))})
	m.DataPageOffset = int64(c.first.Len())
	m.TotalUncompressedSize, m.TotalCompressedSize = c.unpacked, int64(c.first.Len()+c.pages.Len())
	m.Statistics = format.Statistics{MinValue: c.least, MaxValue: c.greatest}
	for i := range c.places {
		c.places[i].Offset += m.DataPageOffset
		m.Statistics.NullCount += c.index.NullCounts[i]
	}
	c.index.BoundaryOrder = c.order()
	return chunk, c.index, format.OffsetIndex{PageLocations: c.places}, nil
}

// reset makes the column ready for the next row group, of which rows may be held already.
func (c *column) reset() {
	c.pages.Reset()
	c.first.Reset()
	c.index, c.places, c.total, c.named, c.unpacked, c.least, c.greatest = format.ColumnIndex{}, nil, 0, 0, 0, nil, nil
	if c.words != nil {
		c.words.restart(c.ints)
	}
}

// bounds are the least and the greatest value of a page; nil where all are null.
func (c *column) bounds(p *held) (least, greatest []byte) {
	if p.rows == p.nulls {
		return nil, nil
	}
	switch {
	case c.words != nil:
		low, high, named := c.words.bounds(p.ints)
		c.named = max(c.named, named)
		return []byte(low), []byte(high)
	case c.kind == format.Int64:
		low, high := slices.Min(p.longs), slices.Max(p.longs)
		return binary.LittleEndian.AppendUint64(nil, uint64(low)), binary.LittleEndian.AppendUint64(nil, uint64(high))
	case c.kind == format.Int32:
		low, high := slices.Min(p.ints), slices.Max(p.ints)
		return binary.LittleEndian.AppendUint32(nil, uint32(low)), binary.LittleEndian.AppendUint32(nil, uint32(high))
	case c.kind == format.Boolean:
		all, any := byte(1), byte(0)
		for i := range p.rows - p.nulls {
			bit := p.data[i/8] >> (i % 8) & 1
			all, any = all&bit, any|bit
		}
		return []byte{all}, []byte{any}
	case c.kind == format.FixedLenByteArray:
		least, greatest = p.data[:len(decimal{})], p.data[:len(decimal{})]
		for at := len(decimal{}); at < len(p.data); at += len(decimal{}) {
			if v := p.data[at : at+len(decimal{})]; compareDecimals(v, least) < 0 {
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

// compare compares two values as they lie in statistics.
func (c *column) compare(a, b []byte) int {
	switch c.kind {
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

// order says whether the bounds of the pages ascend.
func (c *column) order() format.BoundaryOrder {
	up, down, before := true, true, -1
	for i, null := range c.index.NullPages {
		if null {
			continue
		}
		if before >= 0 {
			low := c.compare(c.index.MinValues[before], c.index.MinValues[i])
			high := c.compare(c.index.MaxValues[before], c.index.MaxValues[i])
			up, down = up && low <= 0 && high <= 0, down && low >= 0 && high >= 0
		}
		before = i
	}
	switch {
	case up:
		return format.Ascending
	case down:
		return format.Descending
	default:
		return format.Unordered
	}
}
