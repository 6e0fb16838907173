package audit

import (
	"bufio"
	"bytes"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
)

const (
	// maxRuns is how many sorted runs are merged at once; more are merged into one first.
	maxRuns = 64
	// runBuffer is what a run that is read or written holds in memory.
	runBuffer = 64 << 10
	// pairOverhead is what a pair costs in memory beside its bytes.
	pairOverhead = 64
)

// pair is what is sorted: by key, as bytes. No two keys of a sorter are equal.
type pair struct{ key, value []byte }

// sorter sorts more than memory holds: full memory becomes a sorted run in a temporary file, and the runs
// are merged. The files are removed from their directory as soon as they are made, so that they end with
// the process, however it ends. Close it.
type sorter struct {
	dir   string
	limit int64 // bytes

	arena []byte // of the pairs in memory
	pairs []pair
	used  int64
	runs  []*os.File
}

// newSorter makes a sorter that holds about limit bytes in memory. dir is where temporary files go.
func newSorter(dir string, limit int64) *sorter { return &sorter{dir: dir, limit: limit} }

// add takes a pair; its bytes stay the caller's.
func (s *sorter) add(key, value []byte) error {
	n := len(key) + len(value)
	if s.used+int64(n)+pairOverhead > s.limit && len(s.pairs) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	if len(s.arena) < n {
		s.arena = make([]byte, max(n, min(int(s.limit/8), 4<<20)))
	}
	p := pair{s.arena[:len(key):len(key)], s.arena[len(key):n:n]}
	s.arena = s.arena[n:]
	copy(p.key, key)
	copy(p.value, value)
	s.pairs = append(s.pairs, p)
	s.used += int64(n) + pairOverhead
	return nil
}

// sorted gives all pairs, ascending by key. A pair is valid until the next. Nothing can be added afterwards.
func (s *sorter) sorted() iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		s.sortMemory()
		sources := []*source{{next: slices.Values(s.pairs)}}
		for _, file := range s.runs {
			sources = append(sources, &source{file: file})
		}
		for p, err := range merge(sources) {
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// Close gives the files back.
func (s *sorter) Close() error {
	var faults []error
	for _, file := range s.runs {
		faults = append(faults, file.Close())
	}
	s.runs, s.pairs, s.arena = nil, nil, nil
	return errors.Join(faults...)
}

func (s *sorter) sortMemory() {
	slices.SortFunc(s.pairs, func(a, b pair) int { return bytes.Compare(a.key, b.key) })
}

// spill writes memory as a run.
func (s *sorter) spill() error {
	s.sortMemory()
	file, err := s.write(merge([]*source{{next: slices.Values(s.pairs)}}))
	if err != nil {
		return err
	}
	clear(s.pairs)
	s.pairs, s.arena, s.used = s.pairs[:0], nil, 0
	s.runs = append(s.runs, file)
	if len(s.runs) < maxRuns {
		return nil
	}
	var sources []*source
	for _, run := range s.runs {
		sources = append(sources, &source{file: run})
	}
	if file, err = s.write(merge(sources)); err != nil {
		return err
	}
	for _, run := range s.runs {
		if err := run.Close(); err != nil {
			return errors.Join(fmt.Errorf("drop temporary file: %w", err), file.Close())
		}
	}
	s.runs = []*os.File{file}
	return nil
}

// write makes a run of pairs that ascend.
func (s *sorter) write(pairs iter.Seq2[pair, error]) (_ *os.File, err error) {
	file, err := os.CreateTemp(s.dir, "daybook-audit-")
	if err != nil {
		return nil, fmt.Errorf("make temporary file: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	if err := os.Remove(file.Name()); err != nil {
		return nil, fmt.Errorf("hide temporary file: %w", err)
	}
	out := bufio.NewWriterSize(file, runBuffer)
	var head []byte
	for p, err := range pairs {
		if err != nil {
			return nil, err
		}
		head = binary.AppendUvarint(binary.AppendUvarint(head[:0], uint64(len(p.key))), uint64(len(p.value)))
		for _, part := range [...][]byte{head, p.key, p.value} {
			if _, err := out.Write(part); err != nil {
				return nil, fmt.Errorf("write temporary file: %w", err)
			}
		}
	}
	if err := out.Flush(); err != nil {
		return nil, fmt.Errorf("write temporary file: %w", err)
	}
	return file, nil
}

// source is a run as it is read: from a file, or from memory.
type source struct {
	file *os.File
	next iter.Seq[pair]

	pull func() (pair, bool)
	in   *bufio.Reader
	head pair
	buf  []byte
}

// open begins at the first pair.
func (s *source) open() (stop func(), err error) {
	stop = func() {}
	if s.file == nil {
		s.pull, stop = iter.Pull(s.next)
		return stop, nil
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return stop, fmt.Errorf("read temporary file: %w", err)
	}
	s.in = bufio.NewReaderSize(s.file, runBuffer)
	return stop, nil
}

// advance reads the next pair into head; false at the end.
func (s *source) advance() (bool, error) {
	if s.file == nil {
		p, ok := s.pull()
		s.head = p
		return ok, nil
	}
	key, err := binary.ReadUvarint(s.in)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	var value uint64
	if err == nil {
		value, err = binary.ReadUvarint(s.in)
	}
	if err == nil {
		s.buf = slices.Grow(s.buf[:0], int(key+value))[:key+value]
		_, err = io.ReadFull(s.in, s.buf)
	}
	if err != nil {
		return false, fmt.Errorf("read temporary file: %w", err)
	}
	s.head = pair{s.buf[:key], s.buf[key:]}
	return true, nil
}

// merge gives the pairs of sorted sources, ascending.
func merge(sources []*source) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		var h byHead
		for _, s := range sources {
			stop, err := s.open()
			defer stop()
			more := false
			if err == nil {
				more, err = s.advance()
			}
			if err != nil {
				yield(pair{}, err)
				return
			}
			if more {
				h = append(h, s)
			}
		}
		heap.Init(&h)
		for len(h) > 0 {
			if !yield(h[0].head, nil) {
				return
			}
			more, err := h[0].advance()
			switch {
			case err != nil:
				yield(pair{}, err)
				return
			case more:
				heap.Fix(&h, 0)
			default:
				heap.Pop(&h)
			}
		}
	}
}

// byHead is a heap of sources, the least head first.
type byHead []*source

func (h byHead) Len() int           { return len(h) }
func (h byHead) Less(i, j int) bool { return bytes.Compare(h[i].head.key, h[j].head.key) < 0 }
func (h byHead) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push and Pop are container/heap's; nothing is pushed.
func (h *byHead) Push(x any) { *h = append(*h, x.(*source)) }

func (h *byHead) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
