package parquet

import (
	"fmt"
	"iter"
	"math"
)

// ColumnBatch is consecutive rows of a file, column by column, in the memory of the decoded pages: nothing is copied.
// parquet-go's ways by value and by row take two and several times the CPU. Columns and rows are counted from 0;
// only columns that the decoder was made for may be read. All is valid until the next batch.
type ColumnBatch struct {
	Rows    int
	columns []pageReader // by position in the schema
	strings []string     // the last string of each column: neighbours are often equal
}

// Bytes returns a string or a decimal; nil for null.
func (b *ColumnBatch) Bytes(column, row int) []byte {
	p := &b.columns[column]
	switch i := p.position(row); {
	case i < 0:
		return nil
	case p.dictionaryValues != nil:
		return p.dictionaryValues[p.ints[i]]
	case p.ends != nil:
		return p.data[p.ends[i]:p.ends[i+1]]
	default:
		return p.data[i*len(Decimal{}) : (i+1)*len(Decimal{})]
	}
}

// String returns a copy of a string; empty for null.
func (b *ColumnBatch) String(column, row int) string {
	v := b.Bytes(column, row)
	if b.strings[column] != string(v) {
		b.strings[column] = string(v)
	}
	return b.strings[column]
}

// Decimal returns a decimal; 0 for null.
func (b *ColumnBatch) Decimal(column, row int) (d Decimal) {
	p := &b.columns[column]
	if i := p.position(row); i >= 0 {
		d = Decimal(p.data[i*len(Decimal{}):])
	}
	return d
}

// Int64 returns an integer or a timestamp; 0 for null.
func (b *ColumnBatch) Int64(column, row int) int64 {
	p := &b.columns[column]
	if i := p.position(row); i >= 0 {
		return p.longs[i]
	}
	return 0
}

// Int32 returns an integer or a date; 0 for null.
func (b *ColumnBatch) Int32(column, row int) int32 {
	p := &b.columns[column]
	if i := p.position(row); i >= 0 {
		return p.ints[i]
	}
	return 0
}

// Bool returns a boolean; false for null.
func (b *ColumnBatch) Bool(column, row int) bool {
	p := &b.columns[column]
	i := p.position(row)
	return i >= 0 && p.data[i/8]>>(i%8)&1 == 1
}

// IsNull reports whether a value is null.
func (b *ColumnBatch) IsNull(column, row int) bool { return b.columns[column].position(row) < 0 }

// Decoder decodes row groups of a file into batches that share their memory.
type Decoder struct {
	file  *File
	asked []int
	batch ColumnBatch
}

// NewDecoder makes a decoder for the columns at some positions of the schema.
func (f *File) NewDecoder(columns ...int) *Decoder {
	width := len(f.file.Schema().Columns())
	return &Decoder{file: f, asked: columns, batch: ColumnBatch{columns: make([]pageReader, width), strings: make([]string, width)}}
}

// RowGroup decodes row group i in batches. A batch ends where a page of any column ends. After an error there is no
// further batch. ErrCorrupt.
func (d *Decoder) RowGroup(i int) iter.Seq2[*ColumnBatch, error] {
	return func(yield func(*ColumnBatch, error) bool) {
		group := d.file.file.RowGroups()[i]
		rows := group.NumRows()
		err := d.file.guard(func() error {
			if rows < 0 {
				return fmt.Errorf("%w: row group %d has %d rows", ErrCorrupt, i, rows)
			}
			for _, c := range d.asked {
				if err := d.file.checkPages(i, c); err != nil {
					return d.inColumn(c, err)
				}
			}
			return nil
		})
		if err != nil {
			yield(nil, err)
			return
		}
		for _, c := range d.asked {
			p := &d.batch.columns[c]
			p.open(group.ColumnChunks()[c])
			defer p.close()
		}
		d.batch.Rows = 0
		for left := rows; left > 0; left -= int64(d.batch.Rows) {
			read := d.batch.Rows
			d.batch.Rows = int(min(left, math.MaxInt32))
			err := d.file.guard(func() error {
				for _, c := range d.asked {
					n, err := d.batch.columns[c].advance(read)
					if err != nil {
						return d.inColumn(c, err)
					}
					d.batch.Rows = min(d.batch.Rows, n)
				}
				return nil
			})
			if !yield(&d.batch, err) || err != nil {
				return
			}
		}
	}
}

func (d *Decoder) inColumn(c int, err error) error {
	return fmt.Errorf("column %s: %w", d.file.file.Schema().Columns()[c][0], err)
}
