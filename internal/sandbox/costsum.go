package sandbox

import (
	"encoding/json"
	"math/big"
	"strconv"
	"strings"

	"daybook/internal/billing"
)

// maxExponent bounds the exponent of a decimal before it is expanded. No real cost is close to it.
const maxExponent = 60

var (
	scale = new(big.Int).Exp(big.NewInt(10), big.NewInt(billing.Scale), nil)
	one   = big.NewInt(1)
)

// costSum sums the costs of pushed events from their text, with arithmetic that is independent of billing.Money. The
// trial compares it with the published totals.
type costSum struct {
	sum        big.Int // units of 10^-18, each cost rounded half-even
	rows       int64
	rounded    int64
	unreadable int64
}

// add adds the cost of a pushed event.
func (l *costSum) add(event []byte) {
	l.rows++
	var e struct {
		Cost json.RawMessage `json:"cost_usd"`
	}
	if json.Unmarshal(event, &e) != nil {
		l.unreadable++
		return
	}
	units, exact, ok := units(strings.Trim(string(e.Cost), `"`))
	if !ok {
		l.unreadable++
		return
	}
	if !exact {
		l.rounded++
	}
	l.sum.Add(&l.sum, units)
}

// units is a decimal in units of 10^-18, rounded half-even.
func units(text string) (_ *big.Int, exact, ok bool) {
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		exponent, err := strconv.Atoi(text[i+1:])
		if err != nil || exponent > maxExponent || exponent < -maxExponent {
			return nil, false, false
		}
	}
	if text == "" || strings.Trim(text, "+-.0123456789eE") != "" || len(text) > 200 {
		return nil, false, false
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil, false, false
	}
	scaled := new(big.Int).Mul(r.Num(), scale)
	floor, rest := new(big.Int).DivMod(scaled, r.Denom(), new(big.Int))
	if rest.Sign() == 0 {
		return floor, true, true
	}
	half := rest.Lsh(rest, 1).Cmp(r.Denom())
	if half > 0 || half == 0 && floor.Bit(0) == 1 {
		floor.Add(floor, one)
	}
	return floor, false, true
}

// equals reports whether the sum equals m.
func (l *costSum) equals(m billing.Money) bool {
	got, _, ok := units(m.String())
	return ok && got.Cmp(&l.sum) == 0
}

// Display is the sum as billing.Money displays it, or exact if it is out of range.
func (l *costSum) Display() string {
	m, _, err := billing.ParseMoney(l.String())
	if err != nil {
		return l.String()
	}
	return m.Display()
}

// String is the exact sum without trailing zeros.
func (l *costSum) String() string {
	text := new(big.Rat).SetFrac(&l.sum, scale).FloatString(billing.Scale)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}
