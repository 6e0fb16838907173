package state

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
)

// Keys share long beginnings, and comparing them whole costs more than all else that a
// table takes; so each group of rows is sorted by the eight bytes after what its keys have
// in common, and only what is then still equal goes on to the next eight.

// keyWord is eight bytes of a row's key.
type keyWord struct {
	word uint64
	row  int32
}

// split divides the rows among tables, each of which ends before a keyspace of tableEnds. A
// sorter has one table's rows in the order they came in; it is valid until the next write.
func (c *changes) split() (parts [len(tableEnds)]keySorter) {
	var counts [len(tableEnds)]int
	for i := range c.rows {
		counts[tableOf(c.key(int32(i))[0])]++
	}
	n := len(c.rows)
	c.words = slices.Grow(c.words[:0], 2*n)[:2*n]
	at := 0
	for i, count := range counts {
		parts[i] = keySorter{c, c.words[at : at : at+count], c.words[n+at : n+at+count]}
		at += count
	}
	for i := range c.rows {
		t := &parts[tableOf(c.key(int32(i))[0])]
		t.rows = append(t.rows, keyWord{row: int32(i)})
	}
	return parts
}

// sorter has all rows.
func (c *changes) sorter() keySorter {
	n := len(c.rows)
	c.words = slices.Grow(c.words[:0], 2*n)[:2*n]
	for i := range n {
		c.words[i].row = int32(i)
	}
	return keySorter{c, c.words[:n], c.words[n:]}
}

// tableOf is the table of a keyspace.
func tableOf(space byte) int {
	i := 0
	for space >= tableEnds[i] {
		i++
	}
	return i
}

// keySorter sorts rows by their keys. It is for one goroutine.
type keySorter struct {
	c       *changes
	rows    []keyWord
	scratch []keyWord // as many
}

// sorted is the rows in the order of their keys.
func (s *keySorter) sorted() []keyWord {
	s.sort(s.rows, 0)
	return s.rows
}

// sort sorts rows whose keys agree in their first depth bytes.
func (s *keySorter) sort(words []keyWord, depth int) {
	const few = 16
	c := s.c
	if len(words) <= few {
		s.compare(words, depth)
		return
	}
	// What the first and the last have in common, most likely all have: a key is looked at once.
	first := c.key(words[0].row)[depth:]
	common := commonBytes(first, c.key(words[len(words)-1].row)[depth:])
	for i := 0; i < len(words); i++ {
		key := c.key(words[i].row)[depth:]
		if n := commonBytes(first[:common], key); n < common {
			common, i = n, -1
			continue
		}
		if len(key) == common { // it ends here
			s.compare(words, depth)
			return
		}
		words[i].word = wordAt(key[common:])
	}
	depth += common
	s.sortWords(words)
	for len(words) > 0 {
		n := 1
		for n < len(words) && words[n].word == words[0].word {
			n++
		}
		if n > 1 {
			s.sortEqual(words[:n], depth)
		}
		words = words[n:]
	}
}

// compare sorts rows by all of their keys from depth on.
func (s *keySorter) compare(words []keyWord, depth int) {
	slices.SortFunc(words, func(a, b keyWord) int { return bytes.Compare(s.c.key(a.row)[depth:], s.c.key(b.row)[depth:]) })
}

// sortEqual sorts rows whose next eight bytes, padded with zeros, agree. A key that
// ends within them differs from the others only in length.
func (s *keySorter) sortEqual(words []keyWord, depth int) {
	for _, w := range words {
		if len(s.c.key(w.row)) < depth+8 {
			s.compare(words, depth)
			return
		}
	}
	s.sort(words, depth+8)
}

// sortWords sorts by word: many by counting, byte by byte from the least, and bytes in which
// all agree are passed over.
func (s *keySorter) sortWords(words []keyWord) {
	const many = 1 << 8
	if len(words) < many {
		slices.SortFunc(words, func(a, b keyWord) int { return cmp.Compare(a.word, b.word) })
		return
	}
	var counts [8][256]uint32
	for _, w := range words {
		for i := range counts {
			counts[i][byte(w.word>>(8*i))]++
		}
	}
	from, to := words, s.scratch[:len(words)]
	for i := range counts {
		shift := 8 * i
		places := &counts[i]
		if places[byte(from[0].word>>shift)] == uint32(len(from)) {
			continue
		}
		sum := uint32(0)
		for b, n := range places {
			places[b] = sum
			sum += n
		}
		for _, w := range from {
			b := byte(w.word >> shift)
			to[places[b]] = w
			places[b]++
		}
		from, to = to, from
	}
	if &from[0] != &words[0] {
		copy(words, from)
	}
}

// commonBytes is how many bytes a and b begin with that are the same.
func commonBytes(a, b []byte) int {
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

func wordAt(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var word [8]byte
	copy(word[:], key)
	return binary.BigEndian.Uint64(word[:])
}
