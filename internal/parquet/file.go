package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// File is a Parquet file that is open for reading.
type File struct {
	file   *parquet.File
	source *source
	size   int64

	// The page index, of all columns of all row groups; empty for a file that Open opened.
	columnIndexes []format.ColumnIndex
	offsetIndexes []format.OffsetIndex
}

// source reads the bytes of a file. It keeps the last error of the reader underneath, which is no sign of damage.
type source struct {
	io.ReaderAt
	err error
}

func (s *source) ReadAt(p []byte, offset int64) (int, error) {
	n, err := s.ReaderAt.ReadAt(p, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// readBufferBytes is how many bytes of a column chunk are read at a time.
const readBufferBytes = 64 << 10

// Open reads the footer of a file of size bytes. r has to stay open. ErrCorrupt.
func Open(r io.ReaderAt, size int64) (*File, error) {
	f := &File{source: &source{ReaderAt: r}, size: size}
	err := f.guard(func() (err error) {
		if err := f.checkFooter(); err != nil {
			return err
		}
		f.file, err = parquet.OpenFile(f.source, size,
			parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(readBufferBytes))
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// OpenIndexed is Open and reads the page index too, which Writer.CopyRowGroup needs.
func OpenIndexed(r io.ReaderAt, size int64) (*File, error) {
	f, err := Open(r, size)
	if err != nil {
		return nil, err
	}
	err = f.guard(func() (err error) {
		if err := f.checkPageIndex(); err != nil {
			return err
		}
		f.columnIndexes, f.offsetIndexes, err = f.file.ReadPageIndex()
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// checkFooter checks the sizes in the footer, and in the page index, before parquet-go allocates memory for them.
func (f *File) checkFooter() error {
	var tail [4 + len(magic)]byte
	if f.size < int64(len(magic)+len(tail)) {
		return fmt.Errorf("%w: %d bytes", ErrCorrupt, f.size)
	}
	if _, err := io.ReadFull(io.NewSectionReader(f.source, f.size-int64(len(tail)), int64(len(tail))), tail[:]); err != nil {
		return err
	}
	length := int64(binary.LittleEndian.Uint32(tail[:4]))
	start := f.size - int64(len(tail)) - length
	if string(tail[4:]) != magic || start < int64(len(magic)) {
		return fmt.Errorf("%w: it ends in %x", ErrCorrupt, tail)
	}
	return checkThrift(f.source, start, start+length, f.size)
}

// CheckSchema compares the names, the physical types and the nullability of the file's columns with a schema's, and
// checks that each row group has them all. ErrCorrupt.
func (f *File) CheckSchema(s *Schema) error {
	return f.guard(func() error { return f.checkSchema(s) })
}

func (f *File) checkSchema(s *Schema) error {
	if got := f.file.Schema(); !slices.EqualFunc(got.Fields(), s.nodes.Fields(), sameColumn) {
		return fmt.Errorf("%w: its columns are %v", ErrCorrupt, got.Columns())
	}
	for i := range f.file.Metadata().RowGroups {
		if n := len(f.file.Metadata().RowGroups[i].Columns); n != len(s.columns) {
			return fmt.Errorf("%w: row group %d has %d columns instead of %d", ErrCorrupt, i, n, len(s.columns))
		}
	}
	return nil
}

// sameColumn reports whether the values of two columns are read in the same way.
func sameColumn(a, b parquet.Field) bool {
	return a.Name() == b.Name() && a.Leaf() && b.Leaf() && a.Optional() == b.Optional() && !a.Repeated() &&
		a.Type().Kind() == b.Type().Kind() && a.Type().Length() == b.Type().Length()
}

// ColumnNames returns the names of the columns.
func (f *File) ColumnNames() []string {
	var names []string
	for _, path := range f.file.Schema().Columns() {
		names = append(names, strings.Join(path, "."))
	}
	return names
}

// Rows returns the number of rows that the footer states.
func (f *File) Rows() int64 { return f.file.NumRows() }

// RowGroups returns the number of row groups.
func (f *File) RowGroups() int { return len(f.file.RowGroups()) }

// RowGroupRows returns the number of rows of row group i.
func (f *File) RowGroupRows(i int) int64 { return f.file.RowGroups()[i].NumRows() }

// Metadata returns the value of a key in the footer.
func (f *File) Metadata(key string) (value string, ok bool) { return f.file.Lookup(key) }

// Batches decodes some columns of all row groups; see Decoder.RowGroup.
func (f *File) Batches(columns ...int) iter.Seq2[*ColumnBatch, error] {
	return func(yield func(*ColumnBatch, error) bool) {
		d := f.NewDecoder(columns...)
		for i := range f.RowGroups() {
			for batch, err := range d.RowGroup(i) {
				if !yield(batch, err) || err != nil {
					return
				}
			}
		}
	}
}

// rowGroupBytes reads the column chunks of row group i.
func (f *File) rowGroupBytes(i int) ([]byte, error) {
	g := &f.file.Metadata().RowGroups[i]
	start, end := g.FileOffset, g.FileOffset+g.TotalCompressedSize
	if start < 0 || end < start || end > f.size {
		return nil, fmt.Errorf("%w: it is at bytes %d to %d of %d", ErrCorrupt, start, end, f.size)
	}
	data := make([]byte, end-start)
	err := f.guard(func() error {
		_, err := io.ReadFull(io.NewSectionReader(f.source, start, end-start), data)
		return err
	})
	return data, err
}

// guard runs code that reads the file. Its errors and panics become ErrCorrupt, unless the reader underneath failed.
func (f *File) guard(read func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: the decoder panicked: %v", ErrCorrupt, p)
		}
		switch {
		case f.source.err != nil:
			err = fmt.Errorf("read Parquet file: %w", f.source.err)
		case err != nil && !errors.Is(err, ErrCorrupt):
			err = fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}()
	return read()
}
