package parquet

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"math/bits"

	"github.com/parquet-go/parquet-go/format"
)

// The checks of this file bound the memory that parquet-go allocates for what a file states of itself: lengths of lists
// and strings in Thrift structures, and sizes and counts in page headers. They read the structures once more, with a
// walker of the Thrift compact protocol (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md).

// How many bytes are read at a time: for a page header and for structures that are larger.
const (
	headerWindow = 128
	footerWindow = 16 << 10
)

// checkThrift checks that one structure begins at start, and that no list and no string in it is longer than the bytes
// up to end allow. size is that of the file.
func checkThrift(r io.ReaderAt, start, end, size int64) error {
	if start < 0 || end < start || end > size {
		return fmt.Errorf("%w: a structure at bytes %d to %d of %d", ErrCorrupt, start, end, size)
	}
	w := thriftWalker{r: r, offset: start, end: end, window: make([]byte, min(end-start, footerWindow))}
	return w.walkFields(0, 0, nil)
}

// checkPageIndex checks the sizes of the page index that the footer states, and the structures in it.
func (f *File) checkPageIndex() error {
	for i := range f.file.Metadata().RowGroups {
		for j := range f.file.Metadata().RowGroups[i].Columns {
			c := &f.file.Metadata().RowGroups[i].Columns[j]
			for _, part := range [][2]int64{
				{c.ColumnIndexOffset, int64(c.ColumnIndexLength)}, {c.OffsetIndexOffset, int64(c.OffsetIndexLength)},
			} {
				if part == [2]int64{} {
					continue
				}
				if err := checkThrift(f.source, part[0], part[0]+part[1], f.size); err != nil {
					return fmt.Errorf("page index of row group %d, column %d: %w", i, j, err)
				}
			}
		}
	}
	return nil
}

// checkPages compares the sizes in the page headers of a column chunk with the bytes of the chunk.
func (f *File) checkPages(rowGroup, column int) error {
	g := &f.file.Metadata().RowGroups[rowGroup]
	m := &g.Columns[column].MetaData
	// Writer knows two codecs. Others would decompress to sizes that no header bounds: parquet-go's LZ4 grows its
	// buffer until the data fits.
	if m.Codec != format.Zstd && m.Codec != format.Uncompressed {
		return fmt.Errorf("%w: codec %d, expected zstd or none", ErrCorrupt, m.Codec)
	}
	start := m.DataPageOffset
	if m.DictionaryPageOffset != 0 {
		start = m.DictionaryPageOffset
	}
	end := start + m.TotalCompressedSize
	if start < int64(len(magic)) || m.TotalCompressedSize < 0 || end > f.size {
		return fmt.Errorf("%w: its pages are at bytes %d to %d of %d", ErrCorrupt, start, end, f.size)
	}
	w := thriftWalker{r: f.source, offset: start, end: end, window: make([]byte, headerWindow)}
	for w.offset < end {
		var h pageHeader
		if err := w.walkFields(0, 0, h.set); err != nil {
			return err
		}
		if h.compressed < 0 || h.compressed > end-w.offset {
			return fmt.Errorf("%w: a page of %d bytes, %d are left", ErrCorrupt, h.compressed, end-w.offset)
		}
		if most := (h.compressed + 1) * zstdRatio; h.uncompressed < 0 || h.uncompressed > most {
			return fmt.Errorf("%w: a page of %d bytes that hold %d", ErrCorrupt, h.compressed, h.uncompressed)
		}
		if !h.dataV2 && !h.dictionary {
			return fmt.Errorf("%w: a page that is neither a data page of version 2 nor a dictionary", ErrCorrupt)
		}
		if h.rows < 0 || h.rows > pageRows || h.values != h.rows || h.nulls < 0 || h.nulls > h.rows {
			return fmt.Errorf("%w: a page of %d rows, %d values and %d nulls", ErrCorrupt, h.rows, h.values, h.nulls)
		}
		if h.levels < 0 || h.levels > h.compressed {
			return fmt.Errorf("%w: %d bytes of levels in a page of %d bytes", ErrCorrupt, h.levels, h.compressed)
		}
		if h.words < 0 || h.words > h.uncompressed {
			return fmt.Errorf("%w: %d values in a dictionary of %d bytes", ErrCorrupt, h.words, h.uncompressed)
		}
		if err := f.checkBody(&h, w.offset); err != nil {
			return err
		}
		if err := w.skip(h.compressed); err != nil {
			return err
		}
	}
	return nil
}

// checkBody checks what parquet-go does not check of the bytes of a page: the checksum of a page that states none or 0,
// and that the definition levels have as many nulls as the header states.
func (f *File) checkBody(h *pageHeader, offset int64) error {
	if h.crc == 0 {
		hash := crc32.NewIEEE()
		if _, err := io.Copy(hash, io.NewSectionReader(f.source, offset, h.compressed)); err != nil {
			return err
		}
		if hash.Sum32() != 0 {
			return fmt.Errorf("%w: a page without a checksum", ErrCorrupt)
		}
	}
	nulls := int64(0)
	if h.levels > 0 {
		levels := make([]byte, h.levels)
		if _, err := io.ReadFull(io.NewSectionReader(f.source, offset, h.levels), levels); err != nil {
			return err
		}
		var err error
		if nulls, err = countNulls(levels, h.rows); err != nil {
			return err
		}
	}
	if nulls != h.nulls {
		return fmt.Errorf("%w: %d nulls in a page that states %d", ErrCorrupt, nulls, h.nulls)
	}
	return nil
}

// countNulls counts the zeros among the levels of rows, of one bit each, in the RLE/bit-packing hybrid (Encodings.md):
// runs, each after a header whose lowest bit names its kind. The last byte of a bit-packed run may be padded. There
// must be a level for each row, and no run after.
func countNulls(b []byte, rows int64) (nulls int64, err error) {
	left := rows
	for len(b) > 0 {
		header, size := binary.Uvarint(b)
		if size <= 0 || left <= 0 {
			return 0, fmt.Errorf("%w: runs of levels do not end after %d rows", ErrCorrupt, rows)
		}
		b = b[size:]
		length := header >> 1
		if header&1 == 0 { // length levels, in one byte
			if length > uint64(left) || len(b) == 0 || b[0] > 1 {
				return 0, fmt.Errorf("%w: a run of %d levels, %d rows are left", ErrCorrupt, length, left)
			}
			if b[0] == 0 {
				nulls += int64(length)
			}
			left -= int64(length)
			b = b[1:]
			continue
		}
		if length > uint64(len(b)) || length > uint64(left+7)/8 {
			return 0, fmt.Errorf("%w: %d bytes of levels, %d are there for %d rows", ErrCorrupt, length, len(b), left)
		}
		for _, levels := range b[:length] {
			n := min(left, 8)
			nulls += n - int64(bits.OnesCount8(levels&(1<<n-1)))
			left -= n
		}
		b = b[length:]
	}
	if left != 0 {
		return 0, fmt.Errorf("%w: levels are missing for %d of %d rows", ErrCorrupt, left, rows)
	}
	return nulls, nil
}

// pageHeader is the sizes and counts of a PageHeader.
type pageHeader struct {
	uncompressed, compressed int64
	crc                      int64 // 0: none
	dataV2, dictionary       bool
	values, nulls, rows      int64 // of a data page
	levels                   int64 // bytes of its definition levels
	words                    int64 // values of a dictionary
}

// set takes an integer of a PageHeader by its field or, in a structure, by the structure's field and its own. The
// numbers are those of parquet.thrift.
func (h *pageHeader) set(outer, field int16, v int64) {
	switch [2]int16{outer, field} {
	case [2]int16{0, 2}:
		h.uncompressed = v
	case [2]int16{0, 3}:
		h.compressed = v
	case [2]int16{0, 4}:
		h.crc = v
	case [2]int16{7, 1}: // dictionary_page_header
		h.dictionary, h.words = true, v
	case [2]int16{8, 1}: // data_page_header_v2
		h.dataV2, h.values = true, v
	case [2]int16{8, 2}:
		h.nulls = v
	case [2]int16{8, 3}:
		h.rows = v
	case [2]int16{8, 5}:
		h.levels = v
	}
}

// thriftWalker reads structures of the Thrift compact protocol without building them.
type thriftWalker struct {
	r           io.ReaderAt
	offset, end int64 // of the next byte, and after the last
	window      []byte
	first       int64 // the offset of window
	filled      int   // bytes of window
}

// The types of the compact protocol.
const (
	thriftStop   = 0
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
	thriftUUID   = 13

	// thriftDepth is how deep structures may be nested. Those of Parquet are at most six deep.
	thriftDepth = 16
)

// walkFields skips a structure: that of the field outer of another one, or with 0 the outermost, or with -1 an
// element. It reports the integers of the outermost one, and of those that are fields of it, to visit, which may be
// nil.
func (w *thriftWalker) walkFields(depth int, outer int16, visit func(outer, field int16, v int64)) error {
	if depth > thriftDepth {
		return fmt.Errorf("%w: structures more than %d deep", ErrCorrupt, thriftDepth)
	}
	for id := int16(0); ; {
		b, err := w.readByte()
		if err != nil || b == thriftStop {
			return err
		}
		if delta := int16(b >> 4); delta != 0 {
			id += delta
		} else {
			v, err := w.readVarint()
			if err != nil {
				return err
			}
			id = int16(v>>1) ^ -int16(v&1)
		}
		switch kind := b & 0xf; {
		case kind == thriftTrue || kind == thriftFalse: // the value is in the type
		case kind == thriftI16 || kind == thriftI32 || kind == thriftI64:
			v, err := w.readVarint()
			if err != nil {
				return err
			}
			if visit != nil {
				visit(outer, id, int64(v>>1)^-int64(v&1))
			}
		case kind == thriftStruct && outer == 0:
			if err := w.walkFields(depth+1, id, visit); err != nil {
				return err
			}
		default:
			if err := w.walkValue(depth, kind); err != nil {
				return err
			}
		}
	}
}

// walkValue skips a value: a field's or an element's.
func (w *thriftWalker) walkValue(depth int, kind byte) error {
	switch kind {
	case thriftTrue, thriftFalse, thriftByte: // of an element: a byte
		return w.skip(1)
	case thriftI16, thriftI32, thriftI64:
		_, err := w.readVarint()
		return err
	case thriftDouble:
		return w.skip(8)
	case thriftUUID:
		return w.skip(16)
	case thriftBinary:
		n, err := w.readVarint()
		if err != nil {
			return err
		}
		return w.skip(int64(min(n, math.MaxInt64)))
	case thriftList, thriftSet:
		b, err := w.readByte()
		if err != nil {
			return err
		}
		n := uint64(b >> 4)
		if n == 0xf {
			if n, err = w.readVarint(); err != nil {
				return err
			}
		}
		return w.walkElements(depth, n, b&0xf)
	case thriftMap:
		n, err := w.readVarint()
		if err != nil || n == 0 {
			return err
		}
		b, err := w.readByte()
		if err != nil {
			return err
		}
		return w.walkElements(depth, n, b>>4, b&0xf)
	case thriftStruct:
		return w.walkFields(depth+1, -1, nil)
	default:
		return fmt.Errorf("%w: a value of type %d", ErrCorrupt, kind)
	}
}

// walkElements skips n elements. Each takes at least one byte.
func (w *thriftWalker) walkElements(depth int, n uint64, kinds ...byte) error {
	if n > uint64(w.end-w.offset) {
		return fmt.Errorf("%w: a list of %d elements in %d bytes", ErrCorrupt, n, w.end-w.offset)
	}
	for range n {
		for _, kind := range kinds {
			if err := w.walkValue(depth+1, kind); err != nil {
				return err
			}
		}
	}
	return nil
}

// skip moves on by n bytes.
func (w *thriftWalker) skip(n int64) error {
	if n < 0 || n > w.end-w.offset {
		return fmt.Errorf("%w: %d bytes, %d are left", ErrCorrupt, n, w.end-w.offset)
	}
	w.offset += n
	return nil
}

func (w *thriftWalker) readByte() (byte, error) {
	if w.offset >= w.end {
		return 0, fmt.Errorf("%w: a structure has no end", ErrCorrupt)
	}
	i := w.offset - w.first
	if i < 0 || i >= int64(w.filled) {
		n, err := w.r.ReadAt(w.window[:min(int64(len(w.window)), w.end-w.offset)], w.offset)
		if n == 0 {
			return 0, err
		}
		w.first, w.filled, i = w.offset, n, 0
	}
	w.offset++
	return w.window[i], nil
}

// readVarint reads an unsigned integer in groups of seven bits, the lowest first.
func (w *thriftWalker) readVarint() (v uint64, err error) {
	for shift := 0; shift < 64; shift += 7 {
		b, err := w.readByte()
		if err != nil {
			return 0, err
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v, nil
		}
	}
	return 0, fmt.Errorf("%w: an integer of more than 64 bits", ErrCorrupt)
}
