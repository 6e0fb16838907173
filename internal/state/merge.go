package state

import (
	"bytes"
	"errors"
	"io"
	"slices"
)

// merge reads runs as one, ascending by key. Rows of one key come in no order.
type merge struct {
	heap  []*runReader // by key
	depth int          // what all keys have in common
	high  []byte       // where it ends; nil: nowhere
	begun bool
}

// newMerge merges the rows of [low, high); nil is the beginning, or the end. It reads with some memory bytes.
func newMerge(runs []run, low, high []byte, memory int) (*merge, error) {
	m := &merge{high: high}
	if len(runs) == 0 {
		return m, nil
	}
	size := min(max(memory/len(runs), runBuffer), greatBuffer)
	first, last := runs[0].marks[0].key, runs[0].last
	for _, r := range runs {
		first, last = least(first, r.marks[0].key), greatest(last, r.last)
	}
	for m.depth < min(len(first), len(last)) && first[m.depth] == last[m.depth] {
		m.depth++
	}
	for i := range runs {
		r := runs[i].open(low, size)
		err := r.next()
		for err == nil && bytes.Compare(r.key, low) < 0 {
			err = r.next()
		}
		if errors.Is(err, io.EOF) {
			continue
		}
		if err != nil {
			return nil, err
		}
		r.word = wordAt(r.key[m.depth:])
		m.heap = append(m.heap, r)
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.sink(i)
	}
	return m, nil
}

// next is the next row, valid until the call after it; io.EOF after the last.
func (m *merge) next() (key, value []byte, err error) {
	if m.begun && len(m.heap) > 0 {
		top := m.heap[0]
		switch err := top.next(); {
		case err == nil:
			top.word = wordAt(top.key[m.depth:])
		case errors.Is(err, io.EOF):
			end := len(m.heap) - 1
			m.heap[0] = m.heap[end]
			m.heap = m.heap[:end]
		default:
			return nil, nil, err
		}
		m.sink(0)
	}
	m.begun = true
	if len(m.heap) == 0 || m.high != nil && bytes.Compare(m.heap[0].key, m.high) >= 0 {
		return nil, nil, io.EOF
	}
	return m.heap[0].key, m.heap[0].value, nil
}

// sink moves a reader down to where it belongs.
func (m *merge) sink(i int) {
	for {
		child := 2*i + 1
		if child >= len(m.heap) {
			return
		}
		if child+1 < len(m.heap) && m.before(child+1, child) {
			child++
		}
		if !m.before(child, i) {
			return
		}
		m.heap[i], m.heap[child] = m.heap[child], m.heap[i]
		i = child
	}
}

func (m *merge) before(i, j int) bool {
	a, b := m.heap[i], m.heap[j]
	if a.word != b.word {
		return a.word < b.word
	}
	return bytes.Compare(a.key[m.depth:], b.key[m.depth:]) < 0
}

// split are the keys that cut the rows of runs in n ranges of about one size.
func split(runs []run, n int) (keys [][]byte) {
	var all [][]byte
	for _, r := range runs {
		for _, m := range r.marks {
			all = append(all, m.key)
		}
	}
	slices.SortFunc(all, bytes.Compare)
	for i := 1; i < n && len(all) > 0; i++ {
		keys = append(keys, all[i*len(all)/n])
	}
	return slices.CompactFunc(keys, bytes.Equal)
}

func least(a, b []byte) []byte {
	if bytes.Compare(b, a) < 0 {
		return b
	}
	return a
}

func greatest(a, b []byte) []byte {
	if bytes.Compare(b, a) > 0 {
		return b
	}
	return a
}
