package parquet

import "bytes"

// columnBuffer holds the values of consecutive rows of one column that are not yet in a page. Which of the slices
// are used depends on the column's type. Nulls have a level and no value.
type columnBuffer struct {
	rows   int
	nulls  int
	levels []byte   // definition levels of an optional column: 1 for a value, 0 for a null
	data   []byte   // strings or decimals, one after the other, or booleans as bits
	ends   []uint32 // offsets of strings in data: the start of the first one, then the end of each
	ints   []int32  // 32-bit integers, or indexes in the dictionary
	longs  []int64
}

// split returns the first rows and the rest. Both share the memory of b. Booleans cannot be split.
func (b *columnBuffer) split(rows int) (first, rest columnBuffer) {
	if rows == b.rows {
		return *b, columnBuffer{}
	}
	first, rest = *b, *b
	first.rows, rest.rows = rows, b.rows-rows
	if len(b.levels) > 0 {
		first.levels, rest.levels = b.levels[:rows], b.levels[rows:]
		first.nulls = bytes.Count(first.levels, []byte{0})
		rest.nulls = b.nulls - first.nulls
	}
	switch n := rows - first.nulls; {
	case len(b.ends) > 1:
		first.ends, rest.ends = b.ends[:n+1], b.ends[n:]
	case len(b.data) > 0:
		first.data, rest.data = b.data[:n*len(Decimal{})], b.data[n*len(Decimal{}):]
	case len(b.ints) > 0:
		first.ints, rest.ints = b.ints[:n], b.ints[n:]
	case len(b.longs) > 0:
		first.longs, rest.longs = b.longs[:n], b.longs[n:]
	}
	return first, rest
}

// retain drops all rows but the rest that split returned, and moves that to the front.
func (b *columnBuffer) retain(rest columnBuffer) {
	b.rows, b.nulls, b.ends = rest.rows, rest.nulls, b.ends[:1]
	if len(rest.ends) > 0 {
		start := rest.ends[0]
		rest.data = rest.data[start:]
		for _, end := range rest.ends[1:] {
			b.ends = append(b.ends, end-start)
		}
	}
	b.levels = append(b.levels[:0], rest.levels...)
	b.data = append(b.data[:0], rest.data...)
	b.ints = append(b.ints[:0], rest.ints...)
	b.longs = append(b.longs[:0], rest.longs...)
}
