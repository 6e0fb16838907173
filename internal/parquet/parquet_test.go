package parquet_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	parquetgo "github.com/parquet-go/parquet-go"
	"go.uber.org/goleak"

	"daybook/internal/parquet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	pageRows  = 8 << 10 // rows of a page, in docs/format-release.md
	createdBy = "test version 1 (build 1)"
)

// everyType has a column of each type and encoding, with nulls and without.
var everyType = parquet.MustSchema("every_type",
	parquet.Column{Name: "text"},
	parquet.Column{Name: "text_null", Optional: true},
	parquet.Column{Name: "word", Dictionary: true},
	parquet.Column{Name: "word_null", Optional: true, Dictionary: true},
	parquet.Column{Name: "money", Type: parquet.Decimal128, Scale: 18},
	parquet.Column{Name: "long", Type: parquet.Int64, Delta: true, Uncompressed: true},
	parquet.Column{Name: "long_null", Type: parquet.Int64, Optional: true, Delta: true, Uncompressed: true},
	parquet.Column{Name: "time", Type: parquet.Timestamp},
	parquet.Column{Name: "int", Type: parquet.Int32},
	parquet.Column{Name: "flag", Type: parquet.Boolean},
	parquet.Column{Name: "money_null", Type: parquet.Decimal128, Scale: 18, Optional: true},
	parquet.Column{Name: "day", Type: parquet.Date},
)

// allColumns are the positions of everyType's columns.
var allColumns = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}

// value is one value, in the form that its column's method takes; nil is null.
type value any

// appendValue adds a value to its column.
func appendValue(c *parquet.ColumnWriter, v value) {
	switch v := v.(type) {
	case nil:
		c.AppendNull()
	case string:
		c.AppendString(v)
	case parquet.Decimal:
		c.AppendDecimal(v)
	case int64:
		c.AppendInt64(v)
	case int32:
		c.AppendInt32(v)
	case bool:
		c.AppendBool(v)
	default:
		panic(v)
	}
}

// randomRow makes a row of everyType. Of two optional values nulls are null.
func randomRow(r *rand.Rand, nulls, length int) []value {
	text := func() string { return strings.Repeat(fmt.Sprint(r.IntN(10)), 1+r.IntN(length)) }
	money := func() value {
		return parquet.DecimalFromParts(int64(r.IntN(3)-1)*r.Int64N(1+int64(r.IntN(2))*5000), r.Uint64())
	}
	maybe := func(v value) value {
		if r.IntN(2) < nulls {
			return nil
		}
		return v
	}
	return []value{
		text(), maybe(text()), fmt.Sprint(r.IntN(40)), maybe(fmt.Sprint(r.IntN(40))), money(),
		r.Int64() >> r.IntN(64), maybe(r.Int64() >> r.IntN(64)), r.Int64(), int32(r.Uint32()), r.IntN(2) == 0,
		maybe(money()), int32(r.IntN(30000)),
	}
}

// create writes a file that fill fills.
func create(t testing.TB, schema *parquet.Schema, fill func(w *parquet.Writer)) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := parquet.NewWriter(&b, schema, createdBy)
	if err != nil {
		t.Fatal(err)
	}
	fill(w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func appendRow(t testing.TB, w *parquet.Writer, row []value) {
	t.Helper()
	for j, v := range row {
		appendValue(w.Columns()[j], v)
	}
}

func endRow(t testing.TB, w *parquet.Writer) {
	t.Helper()
	if err := w.EndRow(); err != nil {
		t.Fatal(err)
	}
}

// open opens a file with this package and with parquet-go.
func open(t testing.TB, data []byte, schema *parquet.Schema) (*parquet.File, *parquetgo.File) {
	t.Helper()
	f, err := parquet.OpenIndexed(bytes.NewReader(data), int64(len(data)))
	if err == nil {
		err = f.CheckSchema(schema)
	}
	other, errOther := parquetgo.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err := errors.Join(err, errOther); err != nil {
		t.Fatal(err)
	}
	return f, other
}

// rowsOf are all rows of a row group as parquet-go's row reader has them.
func rowsOf(t testing.TB, group parquetgo.RowGroup) []parquetgo.Row {
	t.Helper()
	var all []parquetgo.Row
	rows := group.Rows()
	defer func() { _ = rows.Close() }()
	batch := make([]parquetgo.Row, 1000)
	for {
		n, err := rows.ReadRows(batch)
		for _, row := range batch[:n] {
			all = append(all, row.Clone())
		}
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// sameValue compares what was written with what parquet-go read.
func sameValue(want value, got parquetgo.Value) bool {
	switch v := want.(type) {
	case nil:
		return got.IsNull()
	case string:
		return !got.IsNull() && v == string(got.ByteArray())
	case parquet.Decimal:
		return !got.IsNull() && bytes.Equal(v[:], got.ByteArray())
	case int64:
		return !got.IsNull() && v == got.Int64()
	case int32:
		return !got.IsNull() && v == got.Int32()
	default:
		return !got.IsNull() && v == got.Boolean()
	}
}

// sameInBatch compares what was written with what a batch has.
func sameInBatch(want value, b *parquet.ColumnBatch, column, row int) bool {
	if b.IsNull(column, row) != (want == nil) {
		return false
	}
	switch v := want.(type) {
	case nil:
		return true
	case string:
		return v == b.String(column, row) && v == string(b.Bytes(column, row))
	case parquet.Decimal:
		return v == b.Decimal(column, row)
	case int64:
		return v == b.Int64(column, row)
	case int32:
		return v == b.Int32(column, row)
	default:
		return v == b.Bool(column, row)
	}
}

// TestColumnsReadBack writes random columns over pages and row groups. parquet-go and this package read the values
// that were written, and the bounds of each page and each chunk hold their values.
func TestColumnsReadBack(t *testing.T) {
	t.Parallel()
	for seed := range uint64(14) {
		r := rand.New(rand.NewPCG(seed, 3))
		count := []int{0, 1, 8, r.IntN(100), pageRows, pageRows + 1, r.IntN(3 * pageRows)}[seed%7]
		nulls := r.IntN(3) // of two: none to all
		rows, ends := make([][]value, count), map[int]bool{}
		data := create(t, everyType, func(w *parquet.Writer) {
			for i := range rows {
				rows[i] = randomRow(r, nulls, 30)
				appendRow(t, w, rows[i])
				endRow(t, w)
				if r.IntN(pageRows) == 0 {
					ends[i+1] = true
					if err := w.Flush(); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
		f, other := open(t, data, everyType)
		if f.Rows() != int64(count) || f.RowGroups() < len(ends) {
			t.Fatalf("seed %d: %d rows in %d row groups, want %d in %d at least", seed, f.Rows(), f.RowGroups(), count, len(ends))
		}
		start := 0
		for g, group := range other.RowGroups() {
			got := rowsOf(t, group)
			want := rows[start : start+len(got)]
			for i, row := range got {
				for j, v := range row {
					if !sameValue(want[i][j], v) {
						t.Fatalf("seed %d: row %d, column %d is %v, want %v", seed, start+i, j, v, want[i][j])
					}
				}
			}
			for j := range allColumns {
				checkBounds(t, other, g, j, got)
			}
			start += len(got)
		}
		i := 0
		for batch, err := range f.Batches(allColumns...) {
			if err != nil {
				t.Fatal(err)
			}
			for k := range batch.Rows {
				for j := range allColumns {
					if !sameInBatch(rows[i][j], batch, j, k) {
						t.Fatalf("seed %d: row %d, column %d differs in a batch", seed, i, j)
					}
				}
				i++
			}
		}
		if i != count || start != count {
			t.Fatalf("seed %d: batches have %d rows, row groups %d, want %d", seed, i, start, count)
		}
	}
}

// order compares two values of statistics as the format specification demands: decimals as signed numbers.
func order(c parquetgo.Type, a, b []byte) int {
	if c.Kind() == parquetgo.FixedLenByteArray {
		x, y := bytes.Clone(a), bytes.Clone(b)
		x[0], y[0] = x[0]^0x80, y[0]^0x80
		return bytes.Compare(x, y)
	}
	return c.Compare(c.Kind().Value(a), c.Kind().Value(b))
}

// checkBounds compares the statistics and the page index of a column chunk with its rows.
func checkBounds(t *testing.T, file *parquetgo.File, group, column int, rows []parquetgo.Row) {
	t.Helper()
	index := file.ColumnIndexes()[group*len(allColumns)+column]
	locations := file.OffsetIndexes()[group*len(allColumns)+column].PageLocations
	kind := file.Schema().Fields()[column].Type()
	m := &file.Metadata().RowGroups[group].Columns[column].MetaData
	nulls, page := int64(0), 0
	for i, row := range rows {
		for page+1 < len(locations) && locations[page+1].FirstRowIndex <= int64(i) {
			page++
		}
		v := row[column]
		if v.IsNull() {
			nulls++
			continue
		}
		b := v.Bytes()
		if order(kind, b, index.MinValues[page]) < 0 || order(kind, b, index.MaxValues[page]) > 0 ||
			order(kind, b, m.Statistics.MinValue) < 0 || order(kind, b, m.Statistics.MaxValue) > 0 {
			t.Fatalf("%v of column %d is outside %x to %x", v, column, index.MinValues[page], index.MaxValues[page])
		}
	}
	if want := (len(rows) + pageRows - 1) / pageRows; nulls != m.Statistics.NullCount || m.NumValues != int64(len(rows)) || len(locations) != want {
		t.Fatalf("column %d: %d nulls of %d in %d pages, want %d of %d in %d",
			column, m.Statistics.NullCount, m.NumValues, len(locations), nulls, len(rows), want)
	}
}

// TestLongStringsMakeMorePages: pages stay small where strings are long, and read back.
func TestLongStringsMakeMorePages(t *testing.T) {
	t.Parallel()
	schema := parquet.MustSchema("long", parquet.Column{Name: "short"}, parquet.Column{Name: "long", Optional: true})
	long := func(i int) string { return strings.Repeat(fmt.Sprint(i%7), 20_000+i) }
	const rows = 300
	data := create(t, schema, func(w *parquet.Writer) {
		for i := range rows {
			w.Columns()[0].AppendString(fmt.Sprint(i))
			w.Columns()[1].AppendStringOrNull(long(i))
			endRow(t, w)
		}
	})
	f, other := open(t, data, schema)
	short, pages := len(other.OffsetIndexes()[0].PageLocations), len(other.OffsetIndexes()[1].PageLocations)
	if short != 1 || pages < 4 {
		t.Errorf("%d and %d pages, want 1 and 4 at least", short, pages)
	}
	i := 0
	for batch, err := range f.Batches(0, 1) {
		if err != nil {
			t.Fatal(err)
		}
		for k := range batch.Rows {
			if batch.String(0, k) != fmt.Sprint(i) || batch.String(1, k) != long(i) {
				t.Fatalf("row %d is %s", i, batch.String(0, k))
			}
			i++
		}
	}
	if i != rows {
		t.Errorf("%d rows", i)
	}
}

// TestRowsAheadChangeNothing: a row group has the same bytes whether or not rows of the next are in the buffers when it
// ends.
func TestRowsAheadChangeNothing(t *testing.T) {
	t.Parallel()
	schema := parquet.MustSchema("ahead", everyType.Columns()[:9]...) // booleans cannot wait for a later row group
	for seed := range uint64(8) {
		row := func(i int) []value {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			return randomRow(r, int(seed%3), 30+int(seed%2)*3000)[:9]
		}
		write := func(ahead int) []byte {
			r := rand.New(rand.NewPCG(seed, 1))
			return create(t, schema, func(w *parquet.Writer) {
				appended, written := 0, 0
				for range 5 {
					n := 1 + r.IntN(3000)
					for ; appended < written+n+ahead; appended++ {
						appendRow(t, w, row(appended))
					}
					if err := errors.Join(w.EncodePages(n), w.EndRowGroup()); err != nil {
						t.Fatal(err)
					}
					written += n
				}
				for ; appended < written+6000; appended++ { // the last row group is the same for all
					appendRow(t, w, row(appended))
				}
			})
		}
		want := write(0)
		for _, ahead := range []int{1, 700, 5000} {
			if got := write(ahead); !bytes.Equal(got, want) {
				t.Errorf("seed %d: with %d rows ahead the file has other bytes", seed, ahead)
			}
		}
	}
}

// TestCopiedRowGroupsEqualWritten: a file with row groups that were copied has the bytes of one that was written.
func TestCopiedRowGroupsEqualWritten(t *testing.T) {
	t.Parallel()
	group := func(w *parquet.Writer, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 9))
		for range 1 + r.IntN(2000) {
			appendRow(t, w, randomRow(r, 1, 40))
			endRow(t, w)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	released := create(t, everyType, func(w *parquet.Writer) {
		for seed := range uint64(4) {
			group(w, seed)
		}
	})
	f, _ := open(t, released, everyType)
	want := create(t, everyType, func(w *parquet.Writer) {
		for _, seed := range []uint64{3, 7, 1, 0} {
			group(w, seed)
		}
		w.SetMetadata("key", "value")
	})
	got := create(t, everyType, func(w *parquet.Writer) {
		copyGroup := func(i int) {
			if err := w.CopyRowGroup(f, i); err != nil {
				t.Fatal(err)
			}
		}
		copyGroup(3)
		group(w, 7)
		copyGroup(1)
		copyGroup(0)
		w.SetMetadata("key", "value")
	})
	if !bytes.Equal(got, want) {
		t.Error("the file with copied row groups has other bytes")
	}
	copied, _ := open(t, got, everyType)
	if v, ok := copied.Metadata("key"); !ok || v != "value" {
		t.Errorf("metadata %q, %v", v, ok)
	}
}

// TestSchemaIsRefused: a column without a name, two of one name, an encoding that does not fit the type.
func TestSchemaIsRefused(t *testing.T) {
	for want, columns := range map[string][]parquet.Column{
		"has no name":      {{Name: ""}},
		`are named "a"`:    {{Name: "a"}, {Name: "b"}, {Name: "a"}},
		"does not fit":     {{Name: "a", Type: parquet.Int64, Dictionary: true}},
		"does not fit its": {{Name: "a", Delta: true}},
	} {
		if _, err := parquet.NewSchema("s", columns...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", columns, err, want)
		}
	}
	data := create(t, everyType, func(*parquet.Writer) {})
	f, _ := open(t, data, everyType)
	if err := f.CheckSchema(parquet.MustSchema("other", parquet.Column{Name: "text"})); !errors.Is(err, parquet.ErrCorrupt) {
		t.Errorf("another schema: %v", err)
	}
}

// failing is a reader that fails after some bytes were read.
type failing struct {
	io.ReaderAt
	left int
	err  error
}

func (f *failing) ReadAt(p []byte, offset int64) (int, error) {
	if f.left--; f.left < 0 {
		return 0, f.err
	}
	return f.ReaderAt.ReadAt(p, offset)
}

// TestDiskErrorIsNotCorruption: an error of the disk is returned as it is, wherever it happens.
func TestDiskErrorIsNotCorruption(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	data := create(t, everyType, func(w *parquet.Writer) {
		for range 3000 {
			appendRow(t, w, randomRow(r, 1, 40))
			endRow(t, w)
		}
	})
	broken := errors.New("the disk is gone")
	for left := 0; ; left++ {
		reader := &failing{bytes.NewReader(data), left, broken}
		err := readAll(reader, int64(len(data)))
		if reader.left >= 0 {
			if err != nil || left < 10 {
				t.Fatalf("%v after %d reads", err, left)
			}
			return
		}
		if !errors.Is(err, broken) || errors.Is(err, parquet.ErrCorrupt) {
			t.Fatalf("read %d fails: %v", left, err)
		}
	}
}

// readAll reads all of a file: its footer, its page index, and each value of each row.
func readAll(r io.ReaderAt, size int64) error {
	f, err := parquet.OpenIndexed(r, size)
	if err != nil {
		return err
	}
	if err := f.CheckSchema(everyType); err != nil {
		return err
	}
	for batch, err := range f.Batches(allColumns...) {
		if err != nil {
			return err
		}
		for k := range batch.Rows {
			for j, c := range everyType.Columns() {
				switch c.Type {
				case parquet.String:
					_ = batch.String(j, k)
				case parquet.Decimal128:
					_ = batch.Decimal(j, k)
				case parquet.Int64, parquet.Timestamp:
					_ = batch.Int64(j, k)
				case parquet.Int32, parquet.Date:
					_ = batch.Int32(j, k)
				case parquet.Boolean:
					_ = batch.Bool(j, k)
				}
			}
		}
	}
	for i := range f.RowGroups() {
		w, err := parquet.NewWriter(io.Discard, everyType, createdBy)
		if err != nil {
			return err
		}
		if err := w.CopyRowGroup(f, i); err != nil {
			return err
		}
	}
	return nil
}
