package lake

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"

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

	// The page in hand. Values of one kind are there, according to kind and words.
	rows   int
	levels []byte // of an optional column: 1 for a value, 0 for a null
	nulls  int64
	data   []byte   // texts or decimals
	ends   []uint32 // of texts, a zero before the first
	ints   []int32  // or places in words
	longs  []int64

	// The row group.
	pages    bytes.Buffer // as in the file, the dictionary's not among them
	first    bytes.Buffer // the dictionary's page
	index    format.ColumnIndex
	places   []format.PageLocation // from the first data page
	total    int64                 // rows
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

// endPage encodes what was taken since the last page.
func (c *column) endPage() (err error) {
	if c.rows == 0 {
		return nil
	}
	if c.values, err = c.encode(c.values[:0]); err != nil {
		return fmt.Errorf("encode column %s: %w", c.name, err)
	}
	c.runs = c.runs[:0]
	if c.optional {
		if c.runs, err = levels.EncodeLevels(c.runs, c.levels); err != nil {
			return fmt.Errorf("encode column %s: %w", c.name, err)
		}
	}
	least, greatest := c.bounds()
	header := format.PageHeader{Type: format.DataPageV2}
	header.DataPageHeaderV2.Set(format.DataPageHeaderV2{
		NumValues: int32(c.rows), NumNulls: int32(c.nulls), NumRows: int32(c.rows),
		Encoding: c.encoding.Encoding(), DefinitionLevelsByteLength: int32(len(c.runs)),
		IsCompressed: thrift.New(!c.bare),
		Statistics:   format.Statistics{NullCount: c.nulls, MinValue: least, MaxValue: greatest},
	})
	at := c.pages.Len()
	if err := c.page(&c.pages, &header, c.runs, c.values); err != nil {
		return err
	}
	c.places = append(c.places, format.PageLocation{Offset: int64(at), CompressedPageSize: int32(c.pages.Len() - at), FirstRowIndex: c.total})
	c.index.NullPages = append(c.index.NullPages, least == nil)
	c.index.MinValues, c.index.MaxValues = append(c.index.MinValues, least), append(c.index.MaxValues, greatest)
	c.index.NullCounts = append(c.index.NullCounts, c.nulls)
	c.total += int64(c.rows)
	if least != nil {
		if c.least == nil || c.compare(least, c.least) < 0 {
			c.least = least
		}
		if c.greatest == nil || c.compare(greatest, c.greatest) > 0 {
			c.greatest = greatest
		}
	}
	c.rows, c.nulls, c.levels = 0, 0, c.levels[:0]
	c.data, c.ends, c.ints, c.longs = c.data[:0], c.ends[:1], c.ints[:0], c.longs[:0]
	return nil
}

// levels encodes whether values are there.
var levels = rle.Encoding{BitWidth: 1}

// encode appends the values of the page in hand.
func (c *column) encode(to []byte) ([]byte, error) {
	switch {
	case c.words != nil:
		return c.encoding.EncodeInt32(to, c.ints)
	case c.kind == format.ByteArray:
		return c.encoding.EncodeByteArray(to, c.data, c.ends)
	case c.kind == format.FixedLenByteArray:
		return c.encoding.EncodeFixedLenByteArray(to, c.data, len(decimal{}))
	case c.kind == format.Int64:
		return c.encoding.EncodeInt64(to, c.longs)
	case c.kind == format.Int32:
		return c.encoding.EncodeInt32(to, c.ints)
	default:
		return c.encoding.EncodeBoolean(to, c.data)
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
		return fmt.Errorf("encode column %s: %w", c.name, err)
	}
	c.unpacked += int64(to.Len()-at) + int64(header.UncompressedPageSize)
	to.Write(runs)
	to.Write(stored)
	return nil
}

var compact thrift.CompactProtocol

// end ends the row group's column: its pages are in first and pages. The chunk's offsets, and the places of its
// pages, count from the chunk's first byte.
func (c *column) end() (chunk format.ColumnChunk, index format.ColumnIndex, places format.OffsetIndex, err error) {
	if err := c.endPage(); err != nil {
		return chunk, index, places, err
	}
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
		header.DictionaryPageHeader.Set(format.DictionaryPageHeader{NumValues: int32(len(c.words.all)), Encoding: format.Plain})
		if err := c.page(&c.first, &header, nil, c.words.plain(c.values[:0])); err != nil {
			return chunk, index, places, err
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

// reset makes the column ready for the next row group.
func (c *column) reset() {
	c.pages.Reset()
	c.first.Reset()
	c.index, c.places, c.total, c.unpacked, c.least, c.greatest = format.ColumnIndex{}, nil, 0, 0, nil, nil
	c.rows, c.nulls, c.levels = 0, 0, c.levels[:0]
	c.data, c.ends, c.ints, c.longs = c.data[:0], c.ends[:1], c.ints[:0], c.longs[:0]
	if c.words != nil {
		c.words.reset()
	}
}

// bounds are the least and the greatest value of the page in hand; nil where all are null.
func (c *column) bounds() (least, greatest []byte) {
	if int64(c.rows) == c.nulls {
		return nil, nil
	}
	switch {
	case c.words != nil:
		low, high := c.words.bounds(c.ints)
		return []byte(low), []byte(high)
	case c.kind == format.Int64:
		low, high := c.longs[0], c.longs[0]
		for _, v := range c.longs[1:] {
			low, high = min(low, v), max(high, v)
		}
		return binary.LittleEndian.AppendUint64(nil, uint64(low)), binary.LittleEndian.AppendUint64(nil, uint64(high))
	case c.kind == format.Int32:
		low, high := c.ints[0], c.ints[0]
		for _, v := range c.ints[1:] {
			low, high = min(low, v), max(high, v)
		}
		return binary.LittleEndian.AppendUint32(nil, uint32(low)), binary.LittleEndian.AppendUint32(nil, uint32(high))
	case c.kind == format.Boolean:
		all, any := byte(1), byte(0)
		for i := range c.rows - int(c.nulls) {
			bit := c.data[i/8] >> (i % 8) & 1
			all, any = all&bit, any|bit
		}
		return []byte{all}, []byte{any}
	}
	n := len(c.ends) - 1
	if c.kind == format.FixedLenByteArray {
		n = len(c.data) / len(decimal{})
	}
	least, greatest = c.at(0), c.at(0)
	for i := 1; i < n; i++ {
		if v := c.at(i); c.compare(v, least) < 0 {
			least = v
		} else if c.compare(v, greatest) > 0 {
			greatest = v
		}
	}
	return bytes.Clone(least), bytes.Clone(greatest)
}

// at is a text or a decimal of the page in hand.
func (c *column) at(i int) []byte {
	if c.kind == format.FixedLenByteArray {
		return c.data[i*len(decimal{}) : (i+1)*len(decimal{})]
	}
	return c.data[c.ends[i]:c.ends[i+1]:c.ends[i+1]]
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
