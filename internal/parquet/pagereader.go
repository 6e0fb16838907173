package parquet

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
)

// pageReader reads the values of one flat column chunk, page by page.
type pageReader struct {
	pages parquet.Pages
	page  parquet.Page // the current page; nil before the first
	rows  int          // of the page
	first int          // the row of the page at which the batch begins

	// The values of the page, nulls left out. Which of the slices are used depends on the column's type.
	positions []int32  // of an optional column: the position of each row's value, or -1 for null
	data      []byte   // strings, decimals, or booleans as bits
	ends      []uint32 // offsets of strings in data: the start of the first one, then the end of each
	longs     []int64
	ints      []int32 // 32-bit integers, or indexes of dictionaryValues

	dictionary       parquet.Dictionary
	dictionaryValues [][]byte // the values of dictionary; nil for a page without
}

func (r *pageReader) open(chunk parquet.ColumnChunk) {
	*r = pageReader{pages: chunk.Pages(), positions: r.positions[:0]}
}

func (r *pageReader) close() {
	r.release()
	_ = r.pages.Close()
}

func (r *pageReader) release() {
	if r.page != nil {
		parquet.Release(r.page)
		r.page = nil
	}
}

// position returns the position of the value of a row of the batch; -1 for null.
func (r *pageReader) position(row int) int {
	if len(r.positions) > 0 {
		return int(r.positions[r.first+row])
	}
	return r.first + row
}

// advance skips rows, reads the next page where the current one has no more, and returns how many rows are left in it.
func (r *pageReader) advance(rows int) (left int, err error) {
	for r.first += rows; r.page == nil || r.first == r.rows; {
		r.release()
		r.page, err = r.pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return 0, fmt.Errorf("%w: there are fewer values than rows", ErrCorrupt)
		}
		if err == nil {
			err = r.readValues()
		}
		if err != nil {
			return 0, err
		}
	}
	return r.rows - r.first, nil
}

// readValues finds the values of a page that was read. It checks that the page has as many as it states, and that
// all offsets and indexes are in range, so that the methods of ColumnBatch need no checks.
func (r *pageReader) readValues() error {
	r.rows, r.first, r.positions = int(r.page.NumRows()), 0, r.positions[:0]
	values := int32(r.rows)
	if levels := r.page.DefinitionLevels(); levels != nil {
		values = 0
		for _, level := range levels {
			position := int32(-1)
			if level > 0 {
				position = values
				values++
			}
			r.positions = append(r.positions, position)
		}
		if len(levels) != r.rows {
			return fmt.Errorf("%d definition levels for %d rows", len(levels), r.rows)
		}
	}
	stored, data := 0, r.page.Data()
	r.data, r.ends, r.longs, r.ints = nil, nil, nil, nil
	switch data.Kind() {
	case encoding.ByteArray:
		r.data, r.ends = data.ByteArray()
		for i, end := range r.ends {
			if i > 0 && end < r.ends[i-1] || int(end) > len(r.data) {
				return fmt.Errorf("string %d ends at byte %d of %d", i, end, len(r.data))
			}
		}
		stored = len(r.ends) - 1
	case encoding.FixedLenByteArray:
		r.data, _ = data.FixedLenByteArray()
		stored = len(r.data) / len(Decimal{})
	case encoding.Boolean:
		r.data = data.Boolean()
		stored = 8 * len(r.data)
	case encoding.Int64:
		r.longs = data.Int64()
		stored = len(r.longs)
	case encoding.Int32:
		r.ints = data.Int32()
		stored = len(r.ints)
	}
	if stored < int(values) {
		return fmt.Errorf("%d values instead of %d", stored, values)
	}
	return r.readDictionary(r.page.Dictionary())
}

// readDictionary takes the values of a page's dictionary, if it has one, and checks the page's indexes.
func (r *pageReader) readDictionary(d parquet.Dictionary) error {
	if d == nil {
		r.dictionaryValues = nil
		return nil
	}
	if d != r.dictionary {
		r.dictionary, r.dictionaryValues = d, make([][]byte, d.Len())
		for i := range r.dictionaryValues {
			r.dictionaryValues[i] = d.Index(int32(i)).ByteArray()
		}
	}
	for _, i := range r.ints {
		if i < 0 || int(i) >= len(r.dictionaryValues) {
			return fmt.Errorf("index %d in a dictionary of %d values", i, len(r.dictionaryValues))
		}
	}
	return nil
}
