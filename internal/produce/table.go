package produce

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// row is one row of a file. It is valid until the next is read.
type row struct {
	line, lastLine int      // where it begins and ends, from 1
	cells          []string // of a table
	raw            []byte   // its bytes, with the line end
}

// table reads the rows of a CSV file (RFC 4180, quoted line ends allowed).
type table struct {
	header *header
	csv    *csv.Reader
	tape   *tape
	offset int64 // where the next row begins, in the decompressed text
}

// newTable reads the header.
func newTable(r io.Reader, delimiter rune) (*table, error) {
	t := &table{tape: &tape{r: r}}
	t.csv = csv.NewReader(bufio.NewReaderSize(t.tape, bufferBytes))
	t.csv.Comma = delimiter
	t.csv.FieldsPerRecord = -1 // counted in next, where the row can be reported
	t.csv.ReuseRecord = true
	cells, err := t.csv.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("is empty: a table begins with a header")
	}
	if err != nil {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	if t.header, err = newHeader(slices.Clone(cells)); err != nil {
		return nil, err
	}
	t.offset = t.csv.InputOffset()
	return t, nil
}

// next reads a row. A row that cannot be taken apart comes with errBadRow, its
// place and its bytes, and reading goes on behind it. io.EOF ends the table;
// any other error is the file's.
func (t *table) next() (row, error) {
	cells, err := t.csv.Read()
	if errors.Is(err, io.EOF) {
		return row{}, io.EOF
	}
	end := t.csv.InputOffset()
	r := row{cells: cells, raw: t.tape.cut(t.offset, end)}
	t.offset = end

	if parse, ok := errors.AsType[*csv.ParseError](err); ok {
		r.line, r.lastLine = parse.StartLine, parse.Line
		if r.lastLine > r.line {
			return r, fmt.Errorf("%w: a quotation mark opened on line %d is not closed properly", errBadRow, r.line)
		}
		return r, fmt.Errorf("%w: a quotation mark stands where none may be", errBadRow)
	}
	if err != nil {
		return row{}, fmt.Errorf("read: %w", err)
	}
	r.line, _ = t.csv.FieldPos(0)
	r.lastLine, _ = t.csv.FieldPos(len(cells) - 1)
	r.lastLine += strings.Count(cells[len(cells)-1], "\n")
	if len(cells) != len(t.header.names) {
		return r, fmt.Errorf("%w: %d columns where the header has %d", errBadRow, len(cells), len(t.header.names))
	}
	for i, c := range cells {
		if !utf8.ValidString(c) {
			return r, fmt.Errorf("%w: column %q is not UTF-8", errBadRow, t.header.names[i])
		}
	}
	return r, nil
}

// tape keeps what was read since the last cut, so that a row's own bytes can be
// shown whatever the CSV reader made of them.
type tape struct {
	r     io.Reader
	kept  []byte
	start int64 // the offset of kept[0]
}

// Read reads and keeps.
func (t *tape) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.kept = append(t.kept, p[:n]...)
	return n, err
}

// cut gives the bytes from one offset to another and forgets what is before
// the first. They are valid until the next Read.
func (t *tape) cut(from, to int64) []byte {
	if drop := from - t.start; drop > bufferBytes {
		t.kept = t.kept[:copy(t.kept, t.kept[drop:])]
		t.start = from
	}
	return t.kept[from-t.start : to-t.start]
}
