package state

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

// sorted is the rows' order by key. Keys share long beginnings, and comparing
// them whole costs more than all else that a table takes; so each group of rows
// is sorted by the eight bytes after what its keys have in common, and only what is
// then still equal goes on to the next eight.
func (c *changes) sorted() []keyWord {
	words := make([]keyWord, len(c.rows))
	for i := range words {
		words[i].row = int32(i)
	}
	c.sortFrom(words, 0)
	return words
}

// keyWord is eight bytes of a row's key.
type keyWord struct {
	word uint64
	row  int32
}

// sortFrom sorts rows whose keys agree in their first depth bytes.
func (c *changes) sortFrom(words []keyWord, depth int) {
	const few = 16
	if len(words) <= few {
		slices.SortFunc(words, func(a, b keyWord) int { return bytes.Compare(c.key(a.row)[depth:], c.key(b.row)[depth:]) })
		return
	}
	first := c.key(words[0].row)[depth:]
	common := len(first)
	shortest := len(first)
	for _, w := range words[1:] {
		key := c.key(w.row)[depth:]
		shortest = min(shortest, len(key))
		n := 0
		for common = min(common, len(key)); n < common && key[n] == first[n]; n++ {
		}
		common = n
	}
	depth += common
	if common == shortest { // one of the keys ends here
		slices.SortFunc(words, func(a, b keyWord) int { return bytes.Compare(c.key(a.row)[depth:], c.key(b.row)[depth:]) })
		return
	}
	for i := range words {
		words[i].word = wordAt(c.key(words[i].row)[depth:])
	}
	slices.SortFunc(words, func(a, b keyWord) int { return cmp.Compare(a.word, b.word) })
	for len(words) > 0 {
		n := 1
		for n < len(words) && words[n].word == words[0].word {
			n++
		}
		if n > 1 {
			c.sortEqual(words[:n], depth)
		}
		words = words[n:]
	}
}

// sortEqual sorts rows whose next eight bytes, padded with zeros, agree. A key that
// ends within them differs from the others only in length.
func (c *changes) sortEqual(words []keyWord, depth int) {
	for _, w := range words {
		if len(c.key(w.row)) < depth+8 {
			slices.SortFunc(words, func(a, b keyWord) int { return bytes.Compare(c.key(a.row)[depth:], c.key(b.row)[depth:]) })
			return
		}
	}
	c.sortFrom(words, depth+8)
}

func wordAt(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var word [8]byte
	copy(word[:], key)
	return binary.BigEndian.Uint64(word[:])
}
