package lake

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/parquet-go/parquet-go"

	"daybook/internal/billing"
)

// readBatch is how many rows are decoded at once.
const readBatch = 1024

// cells are consecutive rows of a file, column by column. They are valid until the next batch.
// Decoding by column is several times faster than parquet-go's way by row.
type cells struct {
	rows    int
	columns [][]parquet.Value // by position in the schema; nil: not asked for
	texts   []string          // the last text of each column, since neighbours often are equal
}

func (c *cells) bytes(column, row int) []byte { return c.columns[column][row].ByteArray() }

// text is a string, empty for null.
func (c *cells) text(column, row int) string {
	b := c.columns[column][row].ByteArray()
	if c.texts[column] != string(b) {
		c.texts[column] = string(b)
	}
	return c.texts[column]
}

func (c *cells) int64(column, row int) int64 { return c.columns[column][row].Int64() }

func (c *cells) int32(column, row int) int32 { return c.columns[column][row].Int32() }

func (c *cells) null(column, row int) bool { return c.columns[column][row].IsNull() }

// money is zero for null.
func (c *cells) money(column, row int) billing.Money {
	if v := &c.columns[column][row]; !v.IsNull() {
		return moneyOf(v.ByteArray())
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
		if got, want := opened.Schema().Columns(), schema.Columns(); !slices.EqualFunc(got, want, slices.Equal[[]string]) {
			return fmt.Errorf("%w: its columns are %v", ErrDamaged, got)
		}
		if n := opened.NumRows(); n != f.Rows {
			return fmt.Errorf("%w: %d rows instead of %d", ErrDamaged, n, f.Rows)
		}
		return nil
	})
}

// decoder decodes row groups into batches that share their memory.
type decoder struct {
	schema  *parquet.Schema
	asked   []int
	batch   cells
	buffers [][]parquet.Value
}

func newDecoder(schema *parquet.Schema, columns []int) *decoder {
	width := len(schema.Columns())
	d := &decoder{schema: schema, asked: columns, buffers: make([][]parquet.Value, width)}
	d.batch = cells{columns: make([][]parquet.Value, width), texts: make([]string, width)}
	return d
}

// decode decodes a row group in batches. After an error nothing follows.
func (d *decoder) decode(group parquet.RowGroup) iter.Seq2[*cells, error] {
	return func(yield func(*cells, error) bool) {
		readers := make([]columnReader, len(d.buffers))
		for _, c := range d.asked {
			if n := int(min(readBatch, group.NumRows())); len(d.buffers[c]) < n {
				d.buffers[c] = make([]parquet.Value, n)
			}
			readers[c].pages = group.ColumnChunks()[c].Pages()
			defer func() { _ = readers[c].pages.Close() }()
		}
		for left := group.NumRows(); left > 0; left -= int64(d.batch.rows) {
			d.batch.rows = int(min(readBatch, left))
			err := guarded(func() error {
				for _, c := range d.asked {
					d.batch.columns[c] = d.buffers[c][:d.batch.rows]
					if err := readers[c].fill(d.batch.columns[c]); err != nil {
						return fmt.Errorf("column %s: %w", d.schema.Columns()[c][0], err)
					}
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

// columnReader reads a flat column's values across its pages.
type columnReader struct {
	pages  parquet.Pages
	page   parquet.Page
	values parquet.ValueReader
	read   []parquet.Page // whose values may be in use until the next fill
}

// fill fills into; fewer values than that are ErrDamaged.
func (r *columnReader) fill(into []parquet.Value) error {
	for _, page := range r.read {
		parquet.Release(page)
	}
	r.read = r.read[:0]
	for len(into) > 0 {
		if r.values == nil {
			page, err := r.pages.ReadPage()
			if errors.Is(err, io.EOF) {
				return fmt.Errorf("%w: %d values are missing", ErrDamaged, len(into))
			}
			if err != nil {
				return fmt.Errorf("%w: %w", ErrDamaged, err)
			}
			r.page, r.values = page, page.Values()
		}
		n, err := r.values.ReadValues(into)
		into = into[n:]
		switch {
		case errors.Is(err, io.EOF):
			r.read = append(r.read, r.page)
			r.page, r.values = nil, nil
		case err != nil:
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		case n == 0 && len(into) > 0:
			return fmt.Errorf("%w: %w", ErrDamaged, io.ErrNoProgress)
		}
	}
	return nil
}
