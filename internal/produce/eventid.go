package produce

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"daybook/internal/billing"
)

// joinedID joins several values into one id. A separator inside a value is
// escaped, so that ("a|b","c") and ("a","b|c") differ. An id that is too long, or
// has a control character, is replaced by its SHA-256.
func joinedID(parts []value) value {
	escape := strings.NewReplacer(`\`, `\\`, `|`, `\|`)
	return func(cells []string) (string, error) {
		var id strings.Builder
		filled := false
		for i, part := range parts {
			text, err := part(cells)
			if err != nil {
				return "", err
			}
			if i > 0 {
				id.WriteByte('|')
			}
			filled = filled || text != ""
			id.WriteString(escape.Replace(text))
		}
		if !filled {
			return "", fmt.Errorf("%w: all columns of the event id are empty", errBadRow)
		}
		return boundedID(id.String()), nil
	}
}

// boundedID returns a valid id unchanged and hashes any other.
func boundedID(id string) string {
	control := strings.IndexFunc(id, func(r rune) bool { return r < 0x20 || (r >= 0x7f && r < 0xa0) }) >= 0
	if len(id) <= billing.MaxIDBytes && !control {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// ordinals number rows whose columns give the same id. All rows of a load are noted first, then numbered: the
// ordinal is the rank of the row's content among them, so it does not depend on the order of rows or files. Rows
// that are equal in every column are numbered in the order of reading, which changes nothing.
//
// It takes 16 bytes of memory per row. Content is compared by 64-bit hashes: two
// rows of one id that collide would count as equal, and still get two ids.
type ordinals struct {
	rows    []idRow
	seen    map[idRow]int // how many equal rows were numbered, for repeated ids
	started bool
}

// idRow is the part of a row that its ordinal depends on.
type idRow struct{ id, content uint64 }

// note records a row of the first pass.
func (o *ordinals) note(id string, cells []string) {
	o.rows = append(o.rows, newIDRow(id, cells))
}

// number returns the id of a row of the second pass. The first row of an id keeps the id unchanged.
func (o *ordinals) number(id string, cells []string) string {
	if !o.started {
		slices.SortFunc(o.rows, func(a, b idRow) int {
			if a.id != b.id {
				return compare(a.id, b.id)
			}
			return compare(a.content, b.content)
		})
		o.seen = map[idRow]int{}
		o.started = true
	}
	r := newIDRow(id, cells)
	begin, _ := slices.BinarySearchFunc(o.rows, r.id, func(x idRow, id uint64) int { return compare(x.id, id) })
	if begin+1 >= len(o.rows) || o.rows[begin+1].id != r.id {
		return id
	}
	rank := 0
	for begin+rank < len(o.rows) && o.rows[begin+rank].content < r.content {
		rank++
	}
	rank += o.seen[r]
	o.seen[r]++
	if rank == 0 {
		return id
	}
	return boundedID(id + "|#" + strconv.Itoa(rank+1))
}

// rewind starts another pass that numbers the rows.
func (o *ordinals) rewind() { clear(o.seen) }

// newIDRow hashes a row, each cell with its length.
func newIDRow(id string, cells []string) idRow {
	var text []byte
	for _, c := range cells {
		text = append(strconv.AppendInt(text, int64(len(c)), 10), ':')
		text = append(text, c...)
	}
	return idRow{id: xxhash.Sum64String(id), content: xxhash.Sum64(text)}
}

// compare is -1, 0 or 1.
func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}
