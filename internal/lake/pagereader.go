package lake

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
)

// pageReader reads a flat column's values, page by page.
type pageReader struct {
	pages parquet.Pages
	page  parquet.Page // in hand; nil: none
	rows  int          // of it
	at    int          // the batch's first

	// The page's values are of one kind.
	places []int32  // of an optional column: which value is a row's; -1 for null
	data   []byte   // texts, decimals or bits
	ends   []uint32 // of texts, the first one's start before them
	longs  []int64
	ints   []int32 // or indexes of words

	dictionary parquet.Dictionary
	words      [][]byte // its
}

func (r *pageReader) open(chunk parquet.ColumnChunk) {
	*r = pageReader{pages: chunk.Pages(), places: r.places[:0]}
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

// place is where a row of the batch has its value; -1 for null.
func (r *pageReader) place(row int) int {
	if len(r.places) > 0 {
		return int(r.places[r.at+row])
	}
	return r.at + row
}

// pass goes past rows, and returns how many more the page then has. Without any more pages it is ErrDamaged.
func (r *pageReader) pass(rows int) (left int, err error) {
	for r.at += rows; r.page == nil || r.at == r.rows; {
		r.release()
		r.page, err = r.pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return 0, fmt.Errorf("%w: values are missing", ErrDamaged)
		}
		if err == nil {
			err = r.take()
		}
		if err != nil {
			return 0, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	return r.rows - r.at, nil
}

// take finds the values of a page that was read, and that there are as many as it says, so that nobody who looks one up
// need ask.
func (r *pageReader) take() error {
	r.rows, r.at, r.places = int(r.page.NumRows()), 0, r.places[:0]
	values := int32(r.rows)
	if levels := r.page.DefinitionLevels(); levels != nil {
		values = 0
		for _, level := range levels {
			place := int32(-1)
			if level > 0 {
				place = values
				values++
			}
			r.places = append(r.places, place)
		}
		if len(levels) != r.rows {
			return fmt.Errorf("%d levels of %d rows", len(levels), r.rows)
		}
	}
	there, data := 0, r.page.Data()
	r.data, r.ends, r.longs, r.ints = nil, nil, nil, nil
	switch data.Kind() {
	case encoding.ByteArray:
		r.data, r.ends = data.ByteArray()
		for i, end := range r.ends {
			if i > 0 && end < r.ends[i-1] || int(end) > len(r.data) {
				return fmt.Errorf("text %d ends at %d", i, end)
			}
		}
		there = len(r.ends) - 1
	case encoding.FixedLenByteArray:
		r.data, _ = data.FixedLenByteArray()
		there = len(r.data) / len(decimal{})
	case encoding.Boolean:
		r.data = data.Boolean()
		there = 8 * len(r.data)
	case encoding.Int64:
		r.longs = data.Int64()
		there = len(r.longs)
	case encoding.Int32:
		r.ints = data.Int32()
		there = len(r.ints)
	}
	if there < int(values) {
		return fmt.Errorf("%d values instead of %d", there, values)
	}
	return r.lookUp(r.page.Dictionary())
}

// lookUp makes sure that the indexes of a page are those of words.
func (r *pageReader) lookUp(d parquet.Dictionary) error {
	if d == nil {
		r.words = nil
		return nil
	}
	if d != r.dictionary {
		r.dictionary, r.words = d, make([][]byte, d.Len())
		for i := range r.words {
			r.words[i] = d.Index(int32(i)).ByteArray()
		}
	}
	for _, i := range r.ints {
		if i < 0 || int(i) >= len(r.words) {
			return fmt.Errorf("word %d of %d", i, len(r.words))
		}
	}
	return nil
}
