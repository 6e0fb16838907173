package produce

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// header is the first row of a table with the index of each column.
type header struct {
	names []string
	index map[string]int
}

// newHeader checks the names. A column without a name is called column_N, from 1, because some tools write an index
// column without a name.
func newHeader(cells []string) (*header, error) {
	h := &header{names: make([]string, len(cells)), index: make(map[string]int, len(cells))}
	for i, name := range cells {
		if !utf8.ValidString(name) {
			return nil, fmt.Errorf("the header's column %d is not UTF-8", i+1)
		}
		if name == "" {
			name = "column_" + strconv.Itoa(i+1)
		}
		if other, taken := h.index[name]; taken {
			return nil, fmt.Errorf("columns %d and %d of the header are both named %q: rename one", other+1, i+1, name)
		}
		h.names[i] = name
		h.index[name] = i
	}
	return h, nil
}

// find returns the index of the first of these columns that the file has; -1 if it has none.
func (h *header) find(names ...string) int {
	for _, n := range names {
		if i, ok := h.index[n]; ok {
			return i
		}
	}
	return -1
}
