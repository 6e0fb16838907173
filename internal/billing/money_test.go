package billing

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseMoney(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text    string
		want    string
		rounded bool
		err     error
	}{
		{text: "0", want: "0"},
		{text: "-0", want: "0"},
		{text: "-0.0e-999999999999999999999", want: "0"},
		{text: "0e999999999999999999999", want: "0"},
		{text: "15.0", want: "15"},
		{text: "-12.50", want: "-12.5"},
		{text: "1e3", want: "1000"},
		{text: "1E+3", want: "1000"},
		{text: "1234e-3", want: "1.234"},
		{text: "0.000000000000000001", want: "0.000000000000000001"},
		{text: "1e-18", want: "0.000000000000000001"},
		{text: "1e-19", want: "0", rounded: true},
		{text: "1e-999999999", want: "0", rounded: true},
		{text: "0.0000000000000000005", want: "0", rounded: true},                    // half to even: down
		{text: "0.0000000000000000015", want: "0.000000000000000002", rounded: true}, // half to even: up
		{text: "0.00000000000000000050000001", want: "0.000000000000000001", rounded: true},
		{text: "-0.0000000000000000015", want: "-0.000000000000000002", rounded: true},
		{text: "1.0000000000000000000000", want: "1"},
		{text: "99999999999999999999.999999999999999999", want: "99999999999999999999.999999999999999999"},
		{text: "-99999999999999999999.999999999999999999", want: "-99999999999999999999.999999999999999999"},
		{text: "99999999999999999999.9999999999999999994", want: "99999999999999999999.999999999999999999", rounded: true},
		{text: "99999999999999999999.9999999999999999995", err: ErrMoneyRange},
		{text: "100000000000000000000", err: ErrMoneyRange},
		{text: "1e20", err: ErrMoneyRange},
		{text: "1e999999999999999999999999", err: ErrMoneyRange},
		{text: "0." + strings.Repeat("0", 5000) + "1e5001", want: "1"},
		{text: "1" + strings.Repeat("0", 5000) + "e-5000", want: "1"},
		{text: "", err: ErrMoneySyntax},
		{text: "-", err: ErrMoneySyntax},
		{text: "+1", err: ErrMoneySyntax},
		{text: "01", err: ErrMoneySyntax},
		{text: "1.", err: ErrMoneySyntax},
		{text: ".5", err: ErrMoneySyntax},
		{text: "1e", err: ErrMoneySyntax},
		{text: "1e+", err: ErrMoneySyntax},
		{text: "1 ", err: ErrMoneySyntax},
		{text: " 1", err: ErrMoneySyntax},
		{text: "1,5", err: ErrMoneySyntax},
		{text: "0x1", err: ErrMoneySyntax},
		{text: "NaN", err: ErrMoneySyntax},
		{text: "１", err: ErrMoneySyntax},
	} {
		m, rounded, err := ParseMoney(c.text)
		if !errors.Is(err, c.err) {
			t.Errorf("ParseMoney(%.40q): error %v, want %v", c.text, err, c.err)
			continue
		}
		if err == nil && (m.String() != c.want || rounded != c.rounded) {
			t.Errorf("ParseMoney(%.40q) = %s, rounded %t; want %s, %t", c.text, m, rounded, c.want, c.rounded)
		}
	}
}

// jsonNumber draws a JSON number, often near the limits of DECIMAL(38,18).
func jsonNumber() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		s := rapid.SampledFrom([]string{"", "-"}).Draw(t, "sign")
		s += rapid.StringMatching(`0|[1-9][0-9]{0,24}`).Draw(t, "int")
		s += rapid.StringMatching(`(\.[0-9]{1,40})?`).Draw(t, "frac")
		return s + rapid.StringMatching(`([eE][+-]?[0-9]{1,2})?`).Draw(t, "exp")
	})
}

func TestParseMoneyAgreesWithBigRat(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { checkAgainstRat(t, jsonNumber().Draw(t, "text")) })
}

// fataler is implemented by *testing.T and *rapid.T.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkAgainstRat compares ParseMoney of a syntactically valid number with exact rational arithmetic.
func checkAgainstRat(t fataler, text string) {
	t.Helper()
	exact, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("big.Rat does not read %q", text)
	}
	units := new(big.Rat).Mul(exact, new(big.Rat).SetInt(tenTo(Scale)))
	want := roundHalfEven(units)
	m, rounded, err := ParseMoney(text)
	if new(big.Int).Abs(want).Cmp(tenTo(38)) >= 0 {
		if !errors.Is(err, ErrMoneyRange) {
			t.Fatalf("ParseMoney(%q) = %s, %v; want out of range", text, m, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("ParseMoney(%q): %v", text, err)
	}
	if m.bigInt().Cmp(want) != 0 || rounded == units.IsInt() {
		t.Fatalf("ParseMoney(%q) = %s, rounded %t; want %s units", text, m, rounded, want)
	}
	back, again, err := ParseMoney(m.String())
	if err != nil || again || back != m {
		t.Fatalf("%q is read back from %q as %s, %v", text, m, back, err)
	}
	if s := m.String(); strings.Contains(s, ".") && strings.HasSuffix(s, "0") || s == "-0" {
		t.Fatalf("%q is not the shortest decimal", s)
	}
}

func (m Money) bigInt() *big.Int {
	b := new(big.Int).Lsh(big.NewInt(m.hi), 64)
	return b.Add(b, new(big.Int).SetUint64(m.lo))
}

func tenTo(n int64) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(n), nil) }

// roundHalfEven rounds by the definition: it takes the floor and compares the rest with one half.
func roundHalfEven(r *big.Rat) *big.Int {
	floor := new(big.Int).Div(r.Num(), r.Denom()) // Euclidean; the denominator is positive
	rest := new(big.Rat).Sub(r, new(big.Rat).SetInt(floor))
	switch rest.Cmp(big.NewRat(1, 2)) {
	case 1:
		return floor.Add(floor, big.NewInt(1))
	case 0:
		if floor.Bit(0) == 1 {
			return floor.Add(floor, big.NewInt(1))
		}
	}
	return floor
}

// amount draws any Money in range, of any number of digits.
func amount() *rapid.Generator[Money] {
	return rapid.Custom(func(t *rapid.T) Money {
		units, ok := new(big.Int).SetString(rapid.StringMatching(`-?[0-9]{1,38}`).Draw(t, "units"), 10)
		if !ok {
			t.Fatalf("no integer was drawn")
		}
		low := new(big.Int).And(units, new(big.Int).SetUint64(1<<64-1))
		m := MoneyFromParts(new(big.Int).Rsh(units, 64).Int64(), low.Uint64())
		if m.bigInt().Cmp(units) != 0 {
			t.Fatalf("%s units became %s", units, m.bigInt())
		}
		return m
	})
}

func TestMoneyArithmeticAgreesWithBigInt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m, n := amount().Draw(t, "m"), amount().Draw(t, "n")
		check := func(op string, got Money, ok bool, want *big.Int) {
			fits := new(big.Int).Abs(want).Cmp(tenTo(38)) < 0
			if ok != fits || ok && got.bigInt().Cmp(want) != 0 {
				t.Fatalf("%s %s %s = %s, %t; want %s units", m, op, n, got, ok, want)
			}
		}
		sum, ok := m.Add(n)
		check("+", sum, ok, new(big.Int).Add(m.bigInt(), n.bigInt()))
		diff, ok := m.Sub(n)
		check("-", diff, ok, new(big.Int).Sub(m.bigInt(), n.bigInt()))
		check("neg", m.Neg(), true, new(big.Int).Neg(m.bigInt()))
		if got, want := m.Cmp(n), m.bigInt().Cmp(n.bigInt()); got != want {
			t.Fatalf("%s Cmp %s = %d, want %d", m, n, got, want)
		}
		if got, want := m.Sign(), m.bigInt().Sign(); got != want {
			t.Fatalf("%s Sign = %d, want %d", m, got, want)
		}
		if hi, lo := m.Parts(); MoneyFromParts(hi, lo) != m || !m.InRange() {
			t.Fatalf("%s does not survive its parts, or is out of range", m)
		}
	})
}

func TestMoneyRangeEnds(t *testing.T) {
	t.Parallel()
	limit := Money{limitHi, limitLo}
	if limit.bigInt().Cmp(tenTo(38)) != 0 {
		t.Fatalf("the limit is %s units, not 10^38", limit.bigInt())
	}
	if limit.InRange() || limit.Neg().InRange() {
		t.Error("10^20 dollars are in range")
	}
	if least := (Money{-1 << 63, 0}); least.InRange() {
		t.Error("the least 128-bit integer is in range")
	}
}

func TestMoneyInJSON(t *testing.T) {
	t.Parallel()
	m, _, err := ParseMoney("0.10")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(m)
	if err != nil || string(text) != `"0.1"` {
		t.Fatalf("Marshal = %s, %v", text, err)
	}
	var back Money
	if err := json.Unmarshal(text, &back); err != nil || back != m {
		t.Fatalf("Unmarshal = %s, %v", back, err)
	}
	if err := back.UnmarshalText([]byte("0.0000000000000000001")); !errors.Is(err, ErrMoneyPlaces) {
		t.Errorf("an amount that must be rounded: %v", err)
	}
	if err := back.UnmarshalText([]byte("ten")); !errors.Is(err, ErrMoneySyntax) {
		t.Errorf("no number: %v", err)
	}
}

func FuzzMoney(f *testing.F) {
	for _, s := range []string{"0", "-1.5", "1e-18", "99999999999999999999.9999999999999999995", "1e99999999999", "0.00e-7", "1.", "01"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, _, err := ParseMoney(text)
		// encoding/json is a second judge of the syntax: a number is what it
		// reads as one, with no white space around it.
		valid := json.Valid([]byte(text)) && strings.TrimSpace(text) == text && (text[0] == '-' || isDigit(text[0]))
		if errors.Is(err, ErrMoneySyntax) == valid {
			t.Fatalf("ParseMoney(%q): %v, but valid JSON number: %t", text, err, valid)
		}
		if i := strings.IndexAny(text, "eE"); valid && len(text) < 200 && (i < 0 || len(text)-i < 5) {
			checkAgainstRat(t, text)
		}
	})
}

func BenchmarkParseMoney(b *testing.B) {
	for _, text := range []string{"15.0", "0.0000166667", "1234567.890123456789", "1.23456789012345678901234"} {
		b.Run("text="+text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := ParseMoney(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMoneyAdd(b *testing.B) {
	m, n := Money{0, 123}, Money{0, 1e18}
	for b.Loop() {
		m, _ = m.Add(n)
	}
}

func TestMoneyApproximate(t *testing.T) {
	for _, text := range []string{"0", "1", "-1", "0.000000000000000001", "-139.2", "18.446744073709551616", "99999999999999999999.999999999999999999", "-12345678901234567890.5"} {
		m, _, err := ParseMoney(text)
		if err != nil {
			t.Fatal(err)
		}
		exact, _ := new(big.Rat).SetString(text)
		want, _ := exact.Float64()
		if got := m.Approximate(); math.Abs(got-want) > math.Abs(want)*1e-15 {
			t.Errorf("%s is %g, want %g", text, got, want)
		}
	}
}
