package parquet

import (
	"cmp"
	"encoding/binary"
)

// Decimal is the unscaled value of a DECIMAL(38, s): 128 bits, two's complement, big endian.
type Decimal [16]byte

// DecimalFromParts makes a Decimal of the upper and the lower 64 bits.
func DecimalFromParts(hi int64, lo uint64) (d Decimal) {
	binary.BigEndian.PutUint64(d[:8], uint64(hi))
	binary.BigEndian.PutUint64(d[8:], lo)
	return d
}

// Parts returns the upper and the lower 64 bits.
func (d Decimal) Parts() (hi int64, lo uint64) {
	return int64(binary.BigEndian.Uint64(d[:8])), binary.BigEndian.Uint64(d[8:])
}

// compareDecimals compares two values of 16 bytes as signed numbers.
func compareDecimals(a, b []byte) int {
	x, y := Decimal(a), Decimal(b)
	xHi, xLo := x.Parts()
	yHi, yLo := y.Parts()
	return cmp.Or(cmp.Compare(xHi, yHi), cmp.Compare(xLo, yLo))
}
