package lake

import "bytes"

// held are the values of consecutive rows of one column, not yet encoded: those of one kind, according to the column.
type held struct {
	rows   int
	levels []byte // of an optional column: 1 for a value, 0 for a null
	nulls  int
	data   []byte   // texts, decimals or bits
	ends   []uint32 // of texts in data, the first one's start before them
	ints   []int32  // or places in words
	longs  []int64
}

// split cuts the first rows off; they and the rest are in the memory that they were in. Bits are not split.
func (h *held) split(rows int) (first, rest held) {
	if rows == h.rows {
		return *h, held{}
	}
	first, rest = *h, *h
	first.rows, rest.rows = rows, h.rows-rows
	if len(h.levels) > 0 {
		first.levels, rest.levels = h.levels[:rows], h.levels[rows:]
		first.nulls = bytes.Count(first.levels, []byte{0})
		rest.nulls = h.nulls - first.nulls
	}
	switch n := rows - first.nulls; {
	case len(h.ends) > 1:
		first.ends, rest.ends = h.ends[:n+1], h.ends[n:]
	case len(h.data) > 0:
		first.data, rest.data = h.data[:n*len(decimal{})], h.data[n*len(decimal{}):]
	case len(h.ints) > 0:
		first.ints, rest.ints = h.ints[:n], h.ints[n:]
	case len(h.longs) > 0:
		first.longs, rest.longs = h.longs[:n], h.longs[n:]
	}
	return first, rest
}

// keep lets go of all but the rest, which split left.
func (h *held) keep(rest held) {
	h.rows, h.nulls, h.ends = rest.rows, rest.nulls, h.ends[:1]
	if len(rest.ends) > 0 {
		from := rest.ends[0]
		rest.data = rest.data[from:]
		for _, end := range rest.ends[1:] {
			h.ends = append(h.ends, end-from)
		}
	}
	h.levels = append(h.levels[:0], rest.levels...)
	h.data = append(h.data[:0], rest.data...)
	h.ints = append(h.ints[:0], rest.ints...)
	h.longs = append(h.longs[:0], rest.longs...)
}
