package lake

import (
	"encoding/binary"

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
func compareDecimals(a, b []byte) int { return moneyOf(a).Cmp(moneyOf(b)) }
