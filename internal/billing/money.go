package billing

// Scale is the number of decimal places of Money.
const Scale = 18

// Money is an exact amount of USD: a 128-bit two's complement integer in units
// of 10^-18. The zero value is zero dollars. Values within DECIMAL(38,18) are
// those that InRange reports; ParseMoney returns no others.
type Money struct {
	hi int64
	lo uint64
}

// ParseMoney reads a decimal (JSON number syntax, exponent allowed). Digits
// beyond the 18th place are rounded half-even, once, and rounded reports so.
// It takes bounded time whatever the exponent.
func ParseMoney(text string) (m Money, rounded bool, err error) { panic("not built yet") }

// MoneyFromParts makes Money of the two halves that Parts gave.
func MoneyFromParts(hi int64, lo uint64) Money { return Money{hi: hi, lo: lo} }

// Parts are the upper and lower 64 bits of the two's complement integer.
func (m Money) Parts() (hi int64, lo uint64) { return m.hi, m.lo }

// Add is m + n. ok is false when the sum leaves DECIMAL(38,18).
func (m Money) Add(n Money) (sum Money, ok bool) { panic("not built yet") }

// Sub is m - n. ok is false when the difference leaves DECIMAL(38,18).
func (m Money) Sub(n Money) (diff Money, ok bool) { panic("not built yet") }

// Neg is -m. Within DECIMAL(38,18) it cannot overflow.
func (m Money) Neg() Money { panic("not built yet") }

// Sign is -1, 0 or 1.
func (m Money) Sign() int { panic("not built yet") }

// Cmp is -1, 0 or 1 as m is less than, equal to or greater than n.
func (m Money) Cmp(n Money) int { panic("not built yet") }

// InRange reports whether m fits DECIMAL(38,18): |m| < 10^20 dollars.
func (m Money) InRange() bool { panic("not built yet") }

// String is the shortest exact decimal: no exponent, no trailing zeros.
func (m Money) String() string { panic("not built yet") }

// MarshalText is String; with UnmarshalText, Money is a string in JSON, so
// that no reader rounds it.
func (m Money) MarshalText() ([]byte, error) { panic("not built yet") }

// UnmarshalText is ParseMoney, and an error where it would round.
func (m *Money) UnmarshalText(text []byte) error { panic("not built yet") }
