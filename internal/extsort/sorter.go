package extsort

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
)

// File is where a Sorter writes its runs. It is written from its beginning to its end, and read anywhere.
// *os.File and Pebble's vfs.File are such files.
type File interface {
	io.Writer
	io.ReaderAt
	io.Closer
}

// Options are a Sorter's.
type Options struct {
	// Memory is how many bytes of rows are collected before a run is written, with what sorting them takes: 48
	// bytes a row.
	Memory int64
	// Create makes the file of the runs, when the first is written. The Sorter closes it. A file without a name
	// leaves nothing behind, however the process ends: see TempFile.
	Create func() (File, error)
}

// TempFile makes a file without a name in dir.
func TempFile(dir string) (File, error) {
	file, err := os.CreateTemp(dir, "daybook-sort-")
	if err != nil {
		return nil, fmt.Errorf("make temporary file: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("make temporary file: %w", err), file.Close())
	}
	return file, nil
}

// rowOverhead is what a row takes beside key and value: a row, and two Refs to sort it.
const rowOverhead = 48

// sampleRows is how many rows are taken as a sample of how large rows are.
const sampleRows = 1 << 10

// Sorter sorts any number of rows in bounded memory. A key may be added more than once. Close it.
type Sorter struct {
	// Rows are those that are in memory. Owners that build rows in place do it here and call Flush after each;
	// deletions are not for a Sorter.
	Rows Rows

	o    Options
	file File
	size int64 // of the file
	runs []Run
}

// NewSorter makes a Sorter that has no rows.
func NewSorter(o Options) *Sorter { return &Sorter{o: o} }

// Add adds a row. Key and value are copied.
func (s *Sorter) Add(key, value []byte) error {
	s.Rows.Set(key, value)
	return s.Flush()
}

// Flush writes the rows in memory as a run if they fill the memory.
func (s *Sorter) Flush() error {
	if s.Rows.Len() == sampleRows && len(s.runs) == 0 {
		s.reserve()
	}
	if int64(len(s.Rows.Buf)+rowOverhead*s.Rows.Len()) < s.o.Memory {
		return nil
	}
	return s.spill()
}

// reserve allocates the memory that rows like those so far will need: growing it step by step would copy every byte
// about twice. It allocates new slices, because slices.Grow clears what it adds, and large new memory is zero
// already.
func (s *Sorter) reserve() {
	r := &s.Rows
	n := int(s.o.Memory) / (len(r.Buf)/len(r.rows) + rowOverhead)
	r.rows = append(make([]row, 0, len(r.rows)+n), r.rows...)
	r.Buf = append(make([]byte, 0, len(r.Buf)+max(int(s.o.Memory)-rowOverhead*n, 0)), r.Buf...)
}

// spill writes the rows in memory as a run, if there are any.
func (s *Sorter) spill() error {
	if s.Rows.Len() == 0 {
		return nil
	}
	if s.file == nil {
		file, err := s.o.Create()
		if err != nil {
			return fmt.Errorf("make file of runs: %w", err)
		}
		s.file = file
	}
	run, size, err := writeRun(s.file, s.size, &s.Rows)
	if err != nil {
		return err
	}
	s.runs, s.size = append(s.runs, run), size
	s.Rows.Reset()
	return nil
}

// Finish writes the rows that are still in memory as a run, releases the memory, and returns all runs. They can be
// read until Close. No rows may be added afterwards.
func (s *Sorter) Finish() ([]Run, error) {
	if err := s.spill(); err != nil {
		return nil, err
	}
	s.Rows = Rows{}
	return s.runs, nil
}

// Row is a key and a value.
type Row struct{ Key, Value []byte }

// Sorted is all rows, ascending by key. A row is valid until the next. After an error nothing follows. Rows must
// not be added afterwards. Rows that all fit into memory are never written to a file.
func (s *Sorter) Sorted() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		if len(s.runs) == 0 {
			for refs := range slices.Chunk(s.Rows.Sort(), PrefetchRows) {
				s.Rows.Prefetch(refs)
				for _, ref := range refs {
					key, value, _ := s.Rows.Row(ref.Row)
					if !yield(Row{key, value}, nil) {
						return
					}
				}
			}
			return
		}
		runs, err := s.Finish()
		if err != nil {
			yield(Row{}, err)
			return
		}
		m, err := NewMerger(runs, nil, nil, MaxMergeMemory)
		if err != nil {
			yield(Row{}, err)
			return
		}
		for {
			key, value, err := m.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(Row{key, value}, err) || err != nil {
				return
			}
		}
	}
}

// Close releases the file and the memory. Runs must not be read afterwards. Closing a nil or closed Sorter does
// nothing.
func (s *Sorter) Close() error {
	if s == nil {
		return nil
	}
	file := s.file
	*s = Sorter{o: s.o}
	if file == nil {
		return nil
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("close file of runs: %w", err)
	}
	return nil
}
