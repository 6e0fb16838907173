package billing

import (
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestDisplay(t *testing.T) {
	for _, c := range []struct{ amount, want string }{
		{"0", "0.00"},
		{"15", "15.00"},
		{"139.2", "139.20"},
		{"344426.440703835329412249", "344,426.44"},
		{"-1234567.895", "-1,234,567.90"},
		{"0.125", "0.12"},
		{"0.135", "0.14"},
		{"0.995", "1.00"},
		{"999999.995", "1,000,000.00"},
		{"-0.004", "-0.004"},
		{"0.000000000000000001", "0.000000000000000001"},
		{"99999999999999999999.999999999999999999", "100,000,000,000,000,000,000.00"},
		{"-100", "-100.00"},
	} {
		m, _, err := ParseMoney(c.amount)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Display(); got != c.want {
			t.Errorf("%s is displayed as %s, want %s", c.amount, got, c.want)
		}
	}
}

// TestDisplayAgreesWithBigRat: what is displayed is the amount rounded half-even to cents, by math/big.
func TestDisplayAgreesWithBigRat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Money{rapid.Int64Range(-1<<60, 1<<60).Draw(t, "hi"), rapid.Uint64().Draw(t, "lo")}
		exact, _ := new(big.Rat).SetString(m.String())
		cents := new(big.Rat).Mul(exact, big.NewRat(100, 1))
		floor := new(big.Int).Div(cents.Num(), cents.Denom()) // Euclidean: rounds down, as the denominator is positive
		rest := new(big.Rat).Sub(cents, new(big.Rat).SetInt(floor))
		if c := rest.Cmp(big.NewRat(1, 2)); c > 0 || c == 0 && floor.Bit(0) == 1 {
			floor.Add(floor, big.NewInt(1))
		}
		want := new(big.Rat).SetFrac(floor, big.NewInt(100))
		if want.Sign() == 0 && m != (Money{}) {
			want = exact
		}
		got, ok := new(big.Rat).SetString(strings.ReplaceAll(m.Display(), ",", ""))
		if !ok || got.Cmp(want) != 0 {
			t.Fatalf("%s is displayed as %s, want %s", m, m.Display(), want.FloatString(2))
		}
	})
}
