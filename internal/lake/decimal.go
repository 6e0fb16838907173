package lake

import (
	"bytes"
	"encoding/binary"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"daybook/internal/billing"
)

// decimal is Money as Parquet keeps DECIMAL(38,18): 16 bytes, two's complement, big endian.
type decimal [16]byte

func decimalOf(m billing.Money) (d decimal) {
	hi, lo := m.Parts()
	binary.BigEndian.PutUint64(d[:8], uint64(hi))
	binary.BigEndian.PutUint64(d[8:], lo)
	return d
}

// moneyOf reads 16 bytes that decimalOf wrote.
func moneyOf(d []byte) billing.Money {
	return billing.MoneyFromParts(int64(binary.BigEndian.Uint64(d[:8])), binary.BigEndian.Uint64(d[8:16]))
}

// compareDecimals compares as signed numbers.
func compareDecimals(a, b []byte) int {
	if a[0]^b[0] >= 0x80 { // of different sign
		if a[0] >= 0x80 {
			return -1
		}
		return 1
	}
	return bytes.Compare(a, b)
}

// What follows makes parquet-go v0.32.0 write right minima and maxima of decimals: it orders the
// bytes of a FIXED_LEN_BYTE_ARRAY as unsigned, so that a negative value is the greatest, and an
// engine that trusts the statistics skips it. A test that reads with DuckDB tells when a later
// version no longer needs this.

// signedSchema is a schema whose decimal columns are ordered as numbers.
func signedSchema(name string, root parquet.Node) *parquet.Schema {
	return parquet.NewSchema(name, signedGroup{root})
}

type signedGroup struct{ parquet.Node }

func (g signedGroup) Fields() []parquet.Field {
	fields := g.Node.Fields()
	signed := make([]parquet.Field, len(fields))
	for i, f := range fields {
		signed[i] = f
		if isDecimal(f) {
			signed[i] = signedField{f}
		}
	}
	return signed
}

func isDecimal(n parquet.Node) bool {
	if !n.Leaf() {
		return false
	}
	logical := n.Type().LogicalType()
	if logical == nil {
		return false
	}
	_, ok := logical.Value.(*format.DecimalType)
	return ok
}

type signedField struct{ parquet.Field }

func (f signedField) Type() parquet.Type { return signedType{f.Field.Type()} }

type signedType struct{ parquet.Type }

func (t signedType) Compare(a, b parquet.Value) int {
	return compareDecimals(a.ByteArray(), b.ByteArray())
}

func (t signedType) NewColumnBuffer(column, values int) parquet.ColumnBuffer {
	return signedBuffer{t.Type.NewColumnBuffer(column, values)}
}

func (t signedType) NewColumnIndexer(limit int) parquet.ColumnIndexer {
	return signedIndexer{t.Type.NewColumnIndexer(limit)}
}

type signedBuffer struct{ parquet.ColumnBuffer }

func (b signedBuffer) Clone() parquet.ColumnBuffer { return signedBuffer{b.ColumnBuffer.Clone()} }

func (b signedBuffer) Page() parquet.Page { return signedPage{b.ColumnBuffer.Page()} }

type signedPage struct{ parquet.Page }

func (p signedPage) Slice(i, j int64) parquet.Page { return signedPage{p.Page.Slice(i, j)} }

func (p signedPage) Bounds() (least, greatest parquet.Value, ok bool) {
	data := p.Data()
	values, size := data.FixedLenByteArray()
	if size == 0 || len(values) < size {
		return least, greatest, false
	}
	low, high := values[:size], values[:size]
	for i := size; i < len(values); i += size {
		v := values[i : i+size]
		if compareDecimals(v, low) < 0 {
			low = v
		} else if compareDecimals(v, high) > 0 {
			high = v
		}
	}
	return parquet.FixedLenByteArrayValue(low), parquet.FixedLenByteArrayValue(high), true
}

// signedIndexer keeps the pages' bounds and says truly whether they ascend.
type signedIndexer struct{ parquet.ColumnIndexer }

func (x signedIndexer) ColumnIndex() format.ColumnIndex {
	index := x.ColumnIndexer.ColumnIndex()
	up, down := true, true
	previous := -1
	for i := range index.MinValues {
		if index.NullPages[i] {
			continue
		}
		if previous >= 0 {
			low := compareDecimals(index.MinValues[previous], index.MinValues[i])
			high := compareDecimals(index.MaxValues[previous], index.MaxValues[i])
			up = up && low <= 0 && high <= 0
			down = down && low >= 0 && high >= 0
		}
		previous = i
	}
	switch {
	case up:
		index.BoundaryOrder = format.Ascending
	case down:
		index.BoundaryOrder = format.Descending
	default:
		index.BoundaryOrder = format.Unordered
	}
	return index
}
