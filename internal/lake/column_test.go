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

// everyKind has a column of each kind, with nulls and without.
type everyKind struct {
	Text    string  `parquet:"text"`
	Maybe   string  `parquet:"maybe,optional"`
	Word    string  `parquet:"word,dict"`
	MayWord string  `parquet:"may_word,optional,dict"`
	Money   decimal `parquet:"money,decimal(18:38)"`
	Long    int64   `parquet:"long,delta,uncompressed"`
	MayLong int64   `parquet:"may_long,optional,delta,uncompressed"`
	Plain   int64   `parquet:"plain"`
	Int     int32   `parquet:"int"`
	Bool    bool    `parquet:"bool"`
}

// openSynced opens the file that a table was closed to, once it is on disk.
func openSynced(t *testing.T, build *Build, disk vfs.FS) *parquet.File {
	t.Helper()
	if err := build.syncs.Wait(); err != nil {
		t.Fatal(err)
	}
	data, err := readFile(Mem(disk), "file")
	if err != nil {
		t.Fatal(err)
	}
	file, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// TestColumnsReadBack: whatever is written, over pages and row groups, parquet-go reads the same, and its bounds hold
// every value of a page.
func TestColumnsReadBack(t *testing.T) {
	t.Parallel()
	layout := layoutOf(parquet.SchemaOf(everyKind{}))
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 3))
		rows := make([]parquet.Row, []int{0, 1, 8, r.IntN(100), pageRows, pageRows + 1, r.IntN(3 * pageRows)}[seed%7])
		nulls := r.IntN(3) // of two: none to all
		disk := vfs.NewMem()
		l, err := layout()
		if err != nil {
			t.Fatal(err)
		}
		w, err := newTable(Mem(disk), "file", l)
		if err != nil {
			t.Fatal(err)
		}
		groups := 0
		for i := range rows {
			null := func() bool { return r.IntN(2) < nulls }
			text := func() string { return fmt.Sprintf("%0*d", r.IntN(30), r.IntN(1000)) }
			c, row := w.columns, make(parquet.Row, 0, 10)
			add := func(v parquet.Value, has bool) {
				level := 0
				if has && c[len(row)].optional {
					level = 1
				}
				row = append(row, v.Level(0, level, len(row)))
			}
			texts := []string{text(), text(), text(), text()}
			for j, s := range texts {
				if c[j].optional && null() {
					c[j].null()
					add(parquet.NullValue(), false)
					continue
				}
				c[j].text(s)
				add(parquet.ByteArrayValue([]byte(s)), true)
			}
			m := usd(t, fmt.Sprintf("%d.%03d", r.IntN(2000)-1000, r.IntN(1000)))
			d := decimalOf(m)
			c[4].money(m)
			add(parquet.FixedLenByteArrayValue(d[:]), true)
			for j := 5; j < 8; j++ {
				v := r.Int64() >> r.IntN(64)
				if c[j].optional && null() {
					c[j].null()
					add(parquet.NullValue(), false)
					continue
				}
				c[j].int64(v)
				add(parquet.Int64Value(v), true)
			}
			n, b := int32(r.Uint32()), r.IntN(2) == 0
			c[8].int32(n)
			add(parquet.Int32Value(n), true)
			c[9].bool(b)
			add(parquet.BooleanValue(b), true)
			rows[i] = row
			if err := w.endRow(); err != nil {
				t.Fatal(err)
			}
			if r.IntN(pageRows) == 0 {
				groups++
				if err := w.cut(); err != nil {
					t.Fatal(err)
				}
			}
		}
		build := &Build{}
		var f File
		if err := w.close(build, &f); err != nil {
			t.Fatal(err)
		}
		file := openSynced(t, build, disk)
		if file.NumRows() != int64(len(rows)) || len(file.RowGroups()) < groups {
			t.Fatalf("seed %d: %d rows in %d groups, want %d in %d", seed, file.NumRows(), len(file.RowGroups()), len(rows), groups)
		}
		at := 0
		for g, group := range file.RowGroups() {
			if err := eachRow(group, func(row parquet.Row) {
				if !row.Equal(rows[at]) {
					t.Fatalf("seed %d: row %d is %v, want %v", seed, at, row, rows[at])
				}
				at++
			}); err != nil {
				t.Fatal(err)
			}
			for j, chunk := range group.ColumnChunks() {
				checkBounds(t, file, g, j, rows[at-int(group.NumRows()):at], chunk)
			}
		}
	}
}

// checkBounds holds what a file says of a column of a row group against its rows.
func checkBounds(t *testing.T, file *parquet.File, group, column int, rows []parquet.Row, chunk parquet.ColumnChunk) {
	t.Helper()
	index := file.ColumnIndexes()[group*10+column]
	places := file.OffsetIndexes()[group*10+column].PageLocations
	c := newColumn(file.Schema().Fields()[column])
	stats := file.Metadata().RowGroups[group].Columns[column].MetaData.Statistics
	nulls := int64(0)
	for i, row := range rows {
		page := i / pageRows
		v := row[column]
		if v.IsNull() {
			nulls++
			continue
		}
		b := v.Bytes()
		if c.compare(b, index.MinValues[page]) < 0 || c.compare(b, index.MaxValues[page]) > 0 || c.compare(b, stats.MinValue) < 0 || c.compare(b, stats.MaxValue) > 0 {
			t.Fatalf("%v of column %d lies outside %x to %x", v, column, index.MinValues[page], index.MaxValues[page])
		}
	}
	if nulls != stats.NullCount || chunk.NumValues() != int64(len(rows)) || len(places) != (len(rows)+pageRows-1)/pageRows {
		t.Fatalf("column %d: %d nulls of %d in %d pages, want %d of %d", column, stats.NullCount, chunk.NumValues(), len(places), nulls, len(rows))
	}
}

// TestLongTextsMakeMorePages: pages stay small, whatever the texts are, and read back.
func TestLongTextsMakeMorePages(t *testing.T) {
	t.Parallel()
	l, err := newLayout(parquet.SchemaOf(struct {
		Short string `parquet:"short"`
		Long  string `parquet:"long,optional"`
	}{}))
	if err != nil {
		t.Fatal(err)
	}
	disk := vfs.NewMem()
	w, err := newTable(Mem(disk), "file", l)
	if err != nil {
		t.Fatal(err)
	}
	long := func(i int) string { return strings.Repeat(fmt.Sprint(i%7), 20_000+i) }
	const rows = 300
	for i := range rows {
		w.columns[0].text(fmt.Sprint(i))
		w.columns[1].textOrNull(long(i))
		if err := w.endRow(); err != nil {
			t.Fatal(err)
		}
	}
	build := &Build{}
	if err := w.close(build, &File{}); err != nil {
		t.Fatal(err)
	}
	file := openSynced(t, build, disk)
	if short, pages := len(file.OffsetIndexes()[0].PageLocations), len(file.OffsetIndexes()[1].PageLocations); short != 1 || pages < 4 {
		t.Errorf("%d and %d pages", short, pages)
	}
	at := 0
	if err := eachRow(file.RowGroups()[0], func(row parquet.Row) {
		if row[0].String() != fmt.Sprint(at) || row[1].String() != long(at) {
			t.Fatalf("row %d is %s", at, row[0])
		}
		at++
	}); err != nil || at != rows {
		t.Errorf("%d rows, %v", at, err)
	}
}
