package cli

import (
	"bufio"
	"encoding/json"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
)

// columnGap separates the columns of a table.
const columnGap = "  "

// Table prints rows under a header in aligned columns; columns whose header
// starts with '>' are right-aligned (the '>' is not printed). Characters that
// a terminal would act on are escaped. A row may be shorter than the header.
func Table(w io.Writer, header []string, rows [][]string) error {
	right := make([]bool, len(header))
	lines := make([][]string, 0, len(rows)+1)
	titles := make([]string, len(header))
	for i, h := range header {
		titles[i], right[i] = strings.CutPrefix(h, ">")
	}
	lines = append(lines, titles)
	for _, row := range rows {
		cells := make([]string, len(header))
		for i := range min(len(row), len(cells)) {
			cells[i] = visible(row[i])
		}
		lines = append(lines, cells)
	}
	width := make([]int, len(header))
	for _, cells := range lines {
		for i, c := range cells {
			width[i] = max(width[i], runewidth.StringWidth(c))
		}
	}

	out := bufio.NewWriter(w)
	for _, cells := range lines {
		var line strings.Builder
		for i, c := range cells {
			if i > 0 {
				line.WriteString(columnGap)
			}
			pad := strings.Repeat(" ", width[i]-runewidth.StringWidth(c))
			if right[i] {
				line.WriteString(pad + c)
			} else {
				line.WriteString(c + pad)
			}
		}
		// An error stays with the writer until Flush returns it.
		_, _ = out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return out.Flush()
}

// Amount is an amount of money, exact or for display.
type Amount interface {
	String() string  // all digits
	Display() string // rounded, with separators
}

// Amount is how the command prints an amount: with all digits if the user asked for them, else for display.
func (c *Context) Amount(a Amount) string {
	if c.Exact {
		return a.String()
	}
	return a.Display()
}

// JSON prints v as one indented JSON document.
func JSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
