package extsort

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
)

// Sorting: an MSD radix sort whose digits are eight bytes of the key. Keys share long prefixes, and comparing whole
// keys costs more than anything else in writing a table. So a group of rows is sorted by the eight bytes after the
// prefix that all its keys have in common, and only rows that are equal there are sorted by the next eight. Within
// a group, many rows are sorted by an LSD radix sort of the eight bytes, few by comparison.

// Ref refers to a row of Rows.
type Ref struct {
	digit uint64 // eight bytes of the key
	Row   int32  // its number, in the order in which rows were added
}

// Group is a part of the rows of a Rows.
type Group struct {
	of      *Rows
	refs    []Ref
	scratch []Ref // as many
}

// Sort is all rows in the order of their keys. The result is valid until Reset, or until Sort or Split is called
// again.
func (r *Rows) Sort() []Ref {
	n := len(r.rows)
	r.refs = slices.Grow(r.refs[:0], 2*n)[:2*n]
	for i := range n {
		r.refs[i].Row = int32(i)
	}
	g := Group{of: r, refs: r.refs[:n], scratch: r.refs[n:]}
	return g.Sort()
}

// Split divides the rows by the first byte of their keys into a group for each of ends, which ascend: a group has
// the keys whose first byte is less than its end and not less than the one before. The last end must be greater
// than all first bytes, and no key may be empty. Groups are valid until Reset, or until Sort or Split is called
// again.
func (r *Rows) Split(ends []byte) []Group {
	var of [256]uint8
	first := 0
	for i, end := range ends {
		for ; first < int(end); first++ {
			of[first] = uint8(i)
		}
	}
	counts := make([]int, len(ends))
	for i := range r.rows {
		counts[of[r.Key(int32(i))[0]]]++
	}
	n := len(r.rows)
	r.refs = slices.Grow(r.refs[:0], 2*n)[:2*n]
	groups := make([]Group, len(ends))
	at := 0
	for i, count := range counts {
		groups[i] = Group{of: r, refs: r.refs[at : at : at+count], scratch: r.refs[n+at : n+at+count]}
		at += count
	}
	for i := range r.rows {
		g := &groups[of[r.Key(int32(i))[0]]]
		g.refs = append(g.refs, Ref{Row: int32(i)})
	}
	return groups
}

// Sort is the group's rows in the order of their keys.
func (g *Group) Sort() []Ref {
	g.sort(g.refs, 0)
	return g.refs
}

// sort sorts rows whose keys agree in their first depth bytes.
func (g *Group) sort(refs []Ref, depth int) {
	const few = 16
	r := g.of
	if len(refs) <= few {
		g.compare(refs, depth)
		return
	}
	// The prefix that the first and the last key share is most likely shared by all, so most keys are read once.
	first := r.Key(refs[0].Row)[depth:]
	common := commonPrefix(first, r.Key(refs[len(refs)-1].Row)[depth:])
	for i := 0; i < len(refs); i++ {
		key := r.Key(refs[i].Row)[depth:]
		if n := commonPrefix(first[:common], key); n < common {
			common, i = n, -1
			continue
		}
		if len(key) == common { // the key ends here
			g.compare(refs, depth)
			return
		}
		refs[i].digit = digitAt(key[common:])
	}
	depth += common
	g.sortDigits(refs)
	for len(refs) > 0 {
		n := 1
		for n < len(refs) && refs[n].digit == refs[0].digit {
			n++
		}
		if n > 1 {
			g.sortEqual(refs[:n], depth)
		}
		refs = refs[n:]
	}
}

// compare sorts rows by comparing their keys from depth on.
func (g *Group) compare(refs []Ref, depth int) {
	slices.SortFunc(refs, func(a, b Ref) int { return bytes.Compare(g.of.Key(a.Row)[depth:], g.of.Key(b.Row)[depth:]) })
}

// sortEqual sorts rows whose keys have equal digits at depth. A digit is padded with zeros: where a key ends within
// it, equal digits do not mean equal bytes, and the rows are compared.
func (g *Group) sortEqual(refs []Ref, depth int) {
	for _, ref := range refs {
		if len(g.of.Key(ref.Row)) < depth+8 {
			g.compare(refs, depth)
			return
		}
	}
	g.sort(refs, depth+8)
}

// sortDigits sorts by digit: many rows by an LSD radix sort, which skips bytes in which all agree.
func (g *Group) sortDigits(refs []Ref) {
	const many = 1 << 8
	if len(refs) < many {
		slices.SortFunc(refs, func(a, b Ref) int { return cmp.Compare(a.digit, b.digit) })
		return
	}
	var counts [8][256]uint32
	for _, ref := range refs {
		for i := range counts {
			counts[i][byte(ref.digit>>(8*i))]++
		}
	}
	from, to := refs, g.scratch[:len(refs)]
	for i := range counts {
		shift := 8 * i
		places := &counts[i]
		if places[byte(from[0].digit>>shift)] == uint32(len(from)) {
			continue
		}
		sum := uint32(0)
		for b, n := range places {
			places[b] = sum
			sum += n
		}
		for _, ref := range from {
			b := byte(ref.digit >> shift)
			to[places[b]] = ref
			places[b]++
		}
		from, to = to, from
	}
	if &from[0] != &refs[0] {
		copy(refs, from)
	}
}

// commonPrefix is the length of the longest common prefix of a and b.
func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		if differ := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); differ != 0 {
			return i + bits.TrailingZeros64(differ)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

// digitAt is the first eight bytes of key as a number, padded with zeros.
func digitAt(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var digit [8]byte
	copy(digit[:], key)
	return binary.BigEndian.Uint64(digit[:])
}
