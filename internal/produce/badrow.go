package produce

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// errBadRow marks an error of one row. The load continues with the next row.
var errBadRow = errors.New("bad row")

// BadRow is a row that could not be mapped to an event.
type BadRow struct {
	File     string `json:"file"`
	Line     int    `json:"line"`      // first line, from 1
	LastLine int    `json:"last_line"` // last line
	Reason   string `json:"reason"`
	Raw      []byte `json:"-"` // its bytes; valid until the next row
}

func newBadRow(file string, r row, cause error) BadRow {
	return BadRow{File: file, Line: r.line, LastLine: r.lastLine, Reason: reasonOf(cause), Raw: r.raw}
}

// String returns file, line and reason.
func (b BadRow) String() string {
	if b.LastLine > b.Line {
		return fmt.Sprintf("%s:%d-%d: %s", b.File, b.Line, b.LastLine, b.Reason)
	}
	return fmt.Sprintf("%s:%d: %s", b.File, b.Line, b.Reason)
}

// WriteJSON appends the row, its bytes included, as one JSON line.
func (b BadRow) WriteJSON(w io.Writer) error {
	return json.NewEncoder(w).Encode(struct {
		BadRow
		Row string `json:"row"`
	}{b, string(b.Raw)})
}

// reasonOf returns the error of a bad row without errBadRow.
func reasonOf(err error) string {
	return strings.TrimPrefix(err.Error(), errBadRow.Error()+": ")
}
