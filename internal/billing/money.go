package billing

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
)

// Scale is the number of decimal places of Money.
const Scale = 18

// Errors of ParseMoney.
var (
	// ErrMoneySyntax means that the text is not a JSON number.
	ErrMoneySyntax = errors.New("not a decimal number")
	// ErrMoneyRange means that the amount does not fit DECIMAL(38,18).
	ErrMoneyRange = errors.New("amount outside DECIMAL(38,18)")
	// ErrMoneyPlaces means that the text has more than 18 decimal places and an exact amount is needed.
	ErrMoneyPlaces = errors.New("more than 18 decimal places")
)

// 10^38, the first magnitude outside DECIMAL(38,18), in units of 10^-18.
const (
	limitHi = 0x4B3B4CA85A86C47A
	limitLo = 0x098A224000000000
)

// maxDigits is the number of decimal digits that always fit a uint64.
const maxDigits = 19

// pow10 are the powers of ten that fit a uint64.
var pow10 = [maxDigits + 1]uint64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
}

// Money is an exact amount of USD: a 128-bit two's complement integer in units of 10^-18. The zero value is
// zero dollars. InRange reports whether a value fits DECIMAL(38,18); ParseMoney returns no other. Amounts can
// be compared with ==.
type Money struct {
	hi int64
	lo uint64
}

// ParseMoney reads a decimal in the syntax of a JSON number (RFC 8259, section 6: optional minus, no leading
// zeros, exponent allowed). It rounds half-even to 18 decimal places, once; rounded reports whether that
// changed the amount. It checks the range after rounding. Its time is linear in the length of the text,
// whatever the exponent.
//
// Its errors are ErrMoneySyntax and ErrMoneyRange.
func ParseMoney(text string) (m Money, rounded bool, err error) {
	d, ok := scanDecimal(text)
	if !ok {
		return Money{}, false, ErrMoneySyntax
	}
	var hi, lo uint64
	if d.digits <= maxDigits && d.shift >= 0 && d.shift < maxDigits {
		hi, lo = bits.Mul64(d.head, pow10[d.shift])
	} else {
		hi, lo, rounded, err = d.scale(text)
		if err != nil {
			return Money{}, false, err
		}
	}
	if !magnitudeInRange(hi, lo) {
		return Money{}, false, ErrMoneyRange
	}
	m = Money{int64(hi), lo}
	if d.negative {
		m = m.Neg()
	}
	return m, rounded, nil
}

// MoneyFromParts returns the Money whose Parts are hi and lo.
func MoneyFromParts(hi int64, lo uint64) Money { return Money{hi: hi, lo: lo} }

// Parts returns the upper and lower 64 bits of the two's complement integer.
func (m Money) Parts() (hi int64, lo uint64) { return m.hi, m.lo }

// Add returns m + n. ok is false if the sum does not fit DECIMAL(38,18).
func (m Money) Add(n Money) (sum Money, ok bool) {
	lo, carry := bits.Add64(m.lo, n.lo, 0)
	hi, _ := bits.Add64(uint64(m.hi), uint64(n.hi), carry)
	sum = Money{int64(hi), lo}
	// The sum of two amounts in range can overflow 128 bits; then its sign differs from the sign of both.
	overflow := (m.hi^sum.hi)&(n.hi^sum.hi) < 0
	return sum, !overflow && sum.InRange()
}

// Sub returns m - n. ok is false if the difference does not fit DECIMAL(38,18).
func (m Money) Sub(n Money) (diff Money, ok bool) { return m.Add(n.Neg()) }

// Neg returns -m. It cannot overflow within DECIMAL(38,18).
func (m Money) Neg() Money {
	lo, borrow := bits.Sub64(0, m.lo, 0)
	hi, _ := bits.Sub64(0, uint64(m.hi), borrow)
	return Money{int64(hi), lo}
}

// Sign returns -1, 0 or 1.
func (m Money) Sign() int {
	switch {
	case m.hi < 0:
		return -1
	case m.hi == 0 && m.lo == 0:
		return 0
	default:
		return 1
	}
}

// Cmp returns -1, 0 or 1 if m is less than, equal to or greater than n.
func (m Money) Cmp(n Money) int {
	switch {
	case m == n:
		return 0
	case m.hi < n.hi, m.hi == n.hi && m.lo < n.lo:
		return -1
	default:
		return 1
	}
}

// InRange reports whether m fits DECIMAL(38,18): |m| < 10^20 dollars.
func (m Money) InRange() bool {
	hi, lo := m.magnitude()
	return magnitudeInRange(hi, lo)
}

// Approximate returns the amount in dollars with about 15 exact digits. It is for graphs and alerts only, never
// for a published number.
func (m Money) Approximate() float64 {
	hi, lo := m.magnitude()
	dollars := (float64(hi)*(1<<64) + float64(lo)) / 1e18
	if m.hi < 0 {
		return -dollars
	}
	return dollars
}

// String returns the shortest exact decimal, without exponent or trailing zeros.
func (m Money) String() string {
	var buf [48]byte
	return string(m.append(buf[:0]))
}

// AppendText appends String to b. It returns no error.
func (m Money) AppendText(b []byte) ([]byte, error) { return m.append(b), nil }

// MarshalText returns String. So Money is a string in JSON, which no reader rounds.
func (m Money) MarshalText() ([]byte, error) { return m.append(nil), nil }

// UnmarshalText reads what ParseMoney reads, but returns ErrMoneyPlaces if it would round.
func (m *Money) UnmarshalText(text []byte) error {
	n, rounded, err := ParseMoney(string(text))
	if err == nil && rounded {
		err = ErrMoneyPlaces
	}
	if err != nil {
		return fmt.Errorf("read amount %.64q: %w", text, err)
	}
	*m = n
	return nil
}

func (m Money) append(b []byte) []byte {
	if m.hi < 0 {
		b = append(b, '-')
	}
	hi, lo := m.magnitude()
	// The division has two steps because whole dollars can need 67 bits.
	wholeHi := hi / pow10[Scale]
	wholeLo, frac := bits.Div64(hi%pow10[Scale], lo, pow10[Scale])
	if wholeHi == 0 {
		b = strconv.AppendUint(b, wholeLo, 10)
	} else {
		top, rest := bits.Div64(wholeHi, wholeLo, pow10[maxDigits])
		b = strconv.AppendUint(b, top, 10)
		b = appendPadded(b, rest, maxDigits)
	}
	if frac == 0 {
		return b
	}
	places := Scale
	for frac%10 == 0 {
		frac /= 10
		places--
	}
	b = append(b, '.')
	return appendPadded(b, frac, places)
}

func (m Money) magnitude() (hi, lo uint64) {
	if m.hi < 0 {
		m = m.Neg()
	}
	return uint64(m.hi), m.lo
}

func magnitudeInRange(hi, lo uint64) bool {
	return hi < limitHi || hi == limitHi && lo < limitLo
}

// appendPadded appends v with leading zeros up to width digits.
func appendPadded(b []byte, v uint64, width int) []byte {
	for n := width - 1; n > 0 && v < pow10[n]; n-- {
		b = append(b, '0')
	}
	return strconv.AppendUint(b, v, 10)
}
