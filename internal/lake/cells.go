package lake

import (
	"fmt"
	"io"
	"iter"
	"math"
	"slices"

	"github.com/parquet-go/parquet-go"

	"daybook/internal/billing"
)

// cells are consecutive rows of a file, column by column, as they lie in its pages. They are valid until the next
// batch. So nothing is copied; parquet-go's ways by value and by row take twice and several times as long.
type cells struct {
	rows    int
	columns []pageReader // by position in the schema
	texts   []string     // the last text of each column, since neighbours often are equal
}

// bytes are a text's or a decimal's; nil for null.
func (c *cells) bytes(column, row int) []byte {
	p := &c.columns[column]
	switch i := p.place(row); {
	case i < 0:
		return nil
	case p.words != nil:
		return p.words[p.ints[i]]
	case p.ends != nil:
		return p.data[p.ends[i]:p.ends[i+1]]
	default:
		return p.data[i*len(decimal{}) : (i+1)*len(decimal{})]
	}
}

// text is a string, empty for null.
func (c *cells) text(column, row int) string {
	b := c.bytes(column, row)
	if c.texts[column] != string(b) {
		c.texts[column] = string(b)
	}
	return c.texts[column]
}

// int64 is zero for null.
func (c *cells) int64(column, row int) int64 {
	p := &c.columns[column]
	if i := p.place(row); i >= 0 {
		return p.longs[i]
	}
	return 0
}

func (c *cells) int32(column, row int) int32 {
	p := &c.columns[column]
	return p.ints[p.place(row)]
}

// isDay tells a column of days from one of texts.
func (c *cells) isDay(column int) bool {
	p := &c.columns[column]
	return p.ints != nil && p.words == nil
}

func (c *cells) bool(column, row int) bool {
	p := &c.columns[column]
	i := p.place(row)
	return p.data[i/8]>>(i%8)&1 == 1
}

func (c *cells) null(column, row int) bool { return c.columns[column].place(row) < 0 }

// money is zero for null.
func (c *cells) money(column, row int) billing.Money {
	p := &c.columns[column]
	if i := p.place(row); i >= 0 {
		return moneyOf(p.data[i*len(decimal{}):])
	}
	return billing.Money{}
}

// decodeCells decodes a file in batches, the given columns of it, and checks that it has the
// schema's columns and the entry's rows. Damage that got past the hash can make parquet-go panic;
// that becomes ErrDamaged. After an error nothing follows.
func decodeCells(file io.ReaderAt, f File, schema *parquet.Schema, columns ...int) iter.Seq2[*cells, error] {
	return func(yield func(*cells, error) bool) {
		opened, err := openTable(file, f, schema)
		if err != nil {
			yield(nil, err)
			return
		}
		d := newDecoder(schema, columns)
		for _, group := range opened.RowGroups() {
			for c, err := range d.decode(group) {
				if !yield(c, err) || err != nil {
					return
				}
			}
		}
	}
}

// openTable reads a file's footer, and checks that it has the schema's columns and the entry's rows.
func openTable(file io.ReaderAt, f File, schema *parquet.Schema) (opened *parquet.File, err error) {
	return opened, guarded(func() (err error) {
		opened, err = parquet.OpenFile(file, f.Bytes, parquet.SkipBloomFilters(true), parquet.SkipPageIndex(true), parquet.ReadBufferSize(64<<10))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		if got := opened.Schema(); !slices.EqualFunc(got.Fields(), schema.Fields(), sameColumn) {
			return fmt.Errorf("%w: its columns are %v", ErrDamaged, got.Columns())
		}
		if n := opened.NumRows(); n != f.Rows {
			return fmt.Errorf("%w: %d rows instead of %d", ErrDamaged, n, f.Rows)
		}
		return nil
	})
}

// sameColumn reports whether values of one column are read like those of the other.
func sameColumn(a, b parquet.Field) bool {
	return a.Name() == b.Name() && a.Leaf() && a.Optional() == b.Optional() && !a.Repeated() &&
		a.Type().Kind() == b.Type().Kind() && a.Type().Length() == b.Type().Length()
}

// decoder decodes row groups into batches that share their memory.
type decoder struct {
	schema *parquet.Schema
	asked  []int
	batch  cells
}

func newDecoder(schema *parquet.Schema, columns []int) *decoder {
	width := len(schema.Columns())
	return &decoder{schema: schema, asked: columns, batch: cells{columns: make([]pageReader, width), texts: make([]string, width)}}
}

// decode decodes a row group in batches, which end where a page of any column does. After an error nothing follows.
func (d *decoder) decode(group parquet.RowGroup) iter.Seq2[*cells, error] {
	return func(yield func(*cells, error) bool) {
		for _, c := range d.asked {
			p := &d.batch.columns[c]
			p.open(group.ColumnChunks()[c])
			defer p.close()
		}
		d.batch.rows = 0
		for left := group.NumRows(); left > 0; left -= int64(d.batch.rows) {
			passed := d.batch.rows
			d.batch.rows = int(min(left, math.MaxInt32))
			err := guarded(func() error {
				for _, c := range d.asked {
					rows, err := d.batch.columns[c].pass(passed)
					if err != nil {
						return fmt.Errorf("column %s: %w", d.schema.Columns()[c][0], err)
					}
					d.batch.rows = min(d.batch.rows, rows)
				}
				return nil
			})
			if !yield(&d.batch, err) || err != nil {
				return
			}
		}
	}
}

// guarded runs a call into parquet-go on bytes from disk.
func guarded(call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: the Parquet decoder panicked: %v", ErrDamaged, p)
		}
	}()
	return call()
}
