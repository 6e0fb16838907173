package oracle

import (
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// decimal is the number syntax of RFC 8259.
var decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// dollars reads a decimal and rounds it half-even to 18 places. ok is false
// for anything that is not a decimal or does not fit DECIMAL(38,18).
func dollars(text string) (usd *big.Rat, rounded, ok bool) {
	if !decimal.MatchString(text) {
		return nil, false, false
	}
	mantissa, exponent := text, 0
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa = text[:i]
		n, err := strconv.Atoi(text[i+1:])
		if err != nil { // beyond an int: as far out as we look
			n = 1 << 40
			if strings.HasPrefix(text[i+1:], "-") {
				n = -n
			}
		}
		exponent = n
	}
	m, _ := new(big.Rat).SetString(mantissa)
	if m.Sign() == 0 {
		return m, false, true
	}
	// A mantissa of n characters lies between 10^-n and 10^n, so beyond these
	// bounds the answer is known without writing out the power of ten.
	n := len(mantissa)
	if exponent > n+40 {
		return nil, false, false
	}
	if exponent < -n-40 {
		return new(big.Rat), true, true
	}
	power := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(abs(exponent))), nil))
	if exponent < 0 {
		power.Inv(power)
	}
	exact := new(big.Rat).Mul(m, power)
	usd = halfEven(exact)
	limit := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(20), nil))
	if new(big.Rat).Abs(usd).Cmp(limit) >= 0 {
		return nil, false, false
	}
	return usd, usd.Cmp(exact) != 0, true
}

// integer reads a number that has the value of an integer from 0 to 2^63-1,
// however it is written.
func integer(text string) (int64, bool) {
	n, rounded, ok := dollars(text)
	if !ok || rounded || !n.IsInt() || n.Sign() < 0 || !n.Num().IsInt64() {
		return 0, false
	}
	return n.Num().Int64(), true
}

// halfEven rounds to 18 places.
func halfEven(x *big.Rat) *big.Rat {
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(18), nil)
	scaled := new(big.Rat).Mul(x, new(big.Rat).SetInt(unit))
	floor, rest := new(big.Int).DivMod(scaled.Num(), scaled.Denom(), new(big.Int))
	switch new(big.Int).Lsh(rest, 1).Cmp(scaled.Denom()) {
	case 1:
		floor.Add(floor, big.NewInt(1))
	case 0:
		if floor.Bit(0) == 1 {
			floor.Add(floor, big.NewInt(1))
		}
	}
	return new(big.Rat).SetFrac(floor, unit)
}

// Text is an amount as Daybook prints it: exact, no exponent, no trailing zeros.
func Text(usd *big.Rat) string {
	s := usd.FloatString(18)
	s = strings.TrimRight(s, "0")
	return strings.TrimSuffix(s, ".")
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}
