package lake

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/parquet-go/parquet-go"
)

// TestCellsAreTheRows: column by column, over pages of different lengths, a file says what it says row by row.
func TestCellsAreTheRows(t *testing.T) {
	t.Parallel()
	schema := parquet.SchemaOf(everyKind{})
	l, err := newLayout(schema)
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 5))
		disk := vfs.NewMem()
		w, err := newTable(Mem(disk), "file", l)
		if err != nil {
			t.Fatal(err)
		}
		nulls := r.IntN(3) // of two: none to all
		for range r.IntN(2 * pageRows) {
			c := w.columns
			text := func() string { return strings.Repeat(fmt.Sprint(r.IntN(10)), 1+r.IntN(500)) }
			maybe := func(c *column, value func()) {
				if r.IntN(2) < nulls {
					value = c.null
				}
				value()
			}
			c[0].text(text())
			c[2].text(text()[:1])
			c[4].money(usd(t, fmt.Sprintf("%d.5", r.IntN(2000)-1000)))
			c[5].int64(r.Int64())
			c[7].int64(r.Int64())
			c[8].int32(r.Int32())
			c[9].bool(r.IntN(2) == 0)
			maybe(c[1], func() { c[1].text(text()) })
			maybe(c[3], func() { c[3].text(text()[:1]) })
			maybe(c[6], func() { c[6].int64(r.Int64()) })
			if err := w.endRow(); err != nil {
				t.Fatal(err)
			}
			if r.IntN(pageRows) == 0 {
				if err := w.cut(); err != nil {
					t.Fatal(err)
				}
			}
		}
		build := &Build{}
		if err := w.close(build, &File{}); err != nil {
			t.Fatal(err)
		}
		d := newDecoder(schema, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
		for _, group := range openSynced(t, build, disk).RowGroups() {
			var want []parquet.Row
			if err := eachRow(group, func(row parquet.Row) { want = append(want, row.Clone()) }); err != nil {
				t.Fatal(err)
			}
			for c, err := range d.decode(group) {
				if err != nil {
					t.Fatal(err)
				}
				for i := range c.rows {
					row := want[i]
					for column, v := range row {
						if c.null(column, i) != v.IsNull() {
							t.Fatalf("seed %d: column %d of %v", seed, column, row)
						}
						if v.IsNull() {
							continue
						}
						same := true
						switch v.Kind() {
						case parquet.ByteArray, parquet.FixedLenByteArray:
							same = bytes.Equal(c.bytes(column, i), v.ByteArray())
						case parquet.Int64:
							same = c.int64(column, i) == v.Int64()
						case parquet.Int32:
							same = c.int32(column, i) == v.Int32()
						case parquet.Boolean:
							same = c.bool(column, i) == v.Boolean()
						}
						if !same {
							t.Fatalf("seed %d: column %d of %v", seed, column, row)
						}
					}
				}
				want = want[c.rows:]
			}
			if len(want) > 0 {
				t.Fatalf("seed %d: %d rows are missing", seed, len(want))
			}
		}
	}
}
