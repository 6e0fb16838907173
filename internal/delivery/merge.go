package delivery

import (
	"container/heap"
	"errors"
	"iter"

	"daybook/internal/disk"
)

// found is an entry with the index of its file.
type found struct {
	Entry
	from int
}

// merge is a k-way merge of files of ids. It yields, for each key in ascending order, the entries of the key in the
// order of the files. The slice is valid until the next one. It stops after an error.
func merge(fsys disk.FS, names []string) iter.Seq2[[]found, error] {
	return func(yield func([]found, error) bool) {
		var heads headHeap
		defer func() {
			for _, h := range heads {
				h.reader.close()
			}
		}()
		for i, name := range names {
			r, err := openIDs(fsys, name)
			if err != nil {
				yield(nil, err)
				return
			}
			heads = append(heads, head{reader: r, from: i})
			if err := heads[len(heads)-1].advance(); err != nil && !errors.Is(err, errEnd) {
				yield(nil, err)
				return
			} else if err != nil {
				heads = heads[:len(heads)-1]
				r.close()
			}
		}
		heap.Init(&heads)
		var group []found
		for len(heads) > 0 {
			group = group[:0]
			key := heads[0].entry.key
			for len(heads) > 0 && heads[0].entry.key == key {
				h := &heads[0]
				group = append(group, found{h.entry, h.from})
				switch err := h.advance(); {
				case errors.Is(err, errEnd):
					h.reader.close()
					heap.Pop(&heads)
				case err != nil:
					yield(nil, err)
					return
				default:
					heap.Fix(&heads, 0)
				}
			}
			if !yield(group, nil) {
				return
			}
		}
	}
}

// errEnd: a file has no further entry.
var errEnd = errors.New("end of ids")

// head is a file and its next entry.
type head struct {
	reader *idsReader
	entry  Entry
	from   int
}

func (h *head) advance() error {
	e, ok, err := h.reader.next()
	if err == nil && !ok {
		err = errEnd
	}
	h.entry = e
	return err
}

// headHeap orders files by their next entry, then by their index.
type headHeap []head

func (h headHeap) Len() int { return len(h) }

func (h headHeap) Less(i, j int) bool {
	if h[i].entry.key != h[j].entry.key {
		return h[i].entry.key < h[j].entry.key
	}
	return h[i].from < h[j].from
}

func (h headHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *headHeap) Push(x any) { *h = append(*h, x.(head)) }

// Pop implements heap.Interface.
func (h *headHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// newest returns the entry of a group that counts: the one with the greatest ingested_at, and of equal ones the last.
func newest(group []found) found {
	best := group[0]
	for _, f := range group[1:] {
		if f.At >= best.At {
			best = f
		}
	}
	return best
}
