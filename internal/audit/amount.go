package audit

import (
	"math/big"
	"strings"
)

// places is the number of decimal places of an amount. Amounts are integers in units of 10^-18 dollars.
const places = 18

// ten38 is the first amount outside DECIMAL(38,18).
var ten38 = power(38)

// power is 10^n.
func power(n int64) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(n), nil) }

// amount parses a JSON number in units of 10^-18, rounded half-even if it has more places. ok is false for other
// text and for amounts outside DECIMAL(38,18).
func amount(number string) (units *big.Int, exact, ok bool) {
	s := scanner{text: []byte(number)}
	if !s.number() || s.at != len(number) {
		return nil, false, false
	}
	mantissa, exponent := number, big.NewInt(0)
	if e := strings.IndexAny(number, "eE"); e >= 0 {
		mantissa = number[:e]
		exponent.SetString(strings.TrimPrefix(number[e+1:], "+"), 10)
	}
	negative := strings.HasPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(mantissa, "-"), ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return new(big.Int), true, true
	}
	exponent.Add(exponent, big.NewInt(places-int64(len(fraction))))
	// The number is digits × 10^exponent units. The result of a large exponent is known without computing the power.
	switch size := new(big.Int).Add(exponent, big.NewInt(int64(len(digits)))); {
	case size.Cmp(big.NewInt(38)) > 0:
		return nil, false, false
	case size.Sign() < 0:
		return new(big.Int), false, true
	}
	units, _ = new(big.Int).SetString(digits, 10)
	exact = true
	if shift := exponent.Int64(); shift >= 0 {
		units.Mul(units, power(shift))
	} else {
		unit, rest := power(-shift), new(big.Int)
		units.QuoRem(units, unit, rest)
		exact = rest.Sign() == 0
		half := rest.Lsh(rest, 1).Cmp(unit)
		if half > 0 || half == 0 && units.Bit(0) == 1 {
			units.Add(units, big.NewInt(1))
		}
	}
	if units.Cmp(ten38) >= 0 {
		return nil, false, false
	}
	if negative {
		units.Neg(units)
	}
	return units, exact, true
}

// dollars formats an amount as Daybook does: exact, without exponent and trailing zeros.
func dollars(units *big.Int) string {
	digits, minus := strings.CutPrefix(units.String(), "-")
	if len(digits) <= places {
		digits = strings.Repeat("0", places+1-len(digits)) + digits
	}
	whole, fraction := digits[:len(digits)-places], strings.TrimRight(digits[len(digits)-places:], "0")
	if minus {
		whole = "-" + whole
	}
	if fraction == "" {
		return whole
	}
	return whole + "." + fraction
}

// whole parses a JSON number whose value is an integer from 0 to 2^63 - 1, in any notation.
func whole(number string) (int64, bool) {
	units, exact, ok := amount(number)
	if !ok || !exact || units.Sign() < 0 {
		return 0, false
	}
	n, rest := new(big.Int).QuoRem(units, power(places), new(big.Int))
	return n.Int64(), rest.Sign() == 0 && n.IsInt64()
}
