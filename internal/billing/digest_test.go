package billing

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// TestDigestsOfSets: sums do not depend on the order, Minus undoes Plus, and both are arithmetic modulo 2^128.
func TestDigestsOfSets(t *testing.T) {
	t.Parallel()
	digest := rapid.Custom(func(t *rapid.T) Digest { return Digest(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes")) })
	modulus := new(big.Int).Lsh(big.NewInt(1), 128)
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := digest.Draw(t, "a"), digest.Draw(t, "b"), digest.Draw(t, "c")
		if a.Plus(b).Plus(c) != c.Plus(a).Plus(b) || a.Plus(b).Minus(b) != a || a.Plus(Digest{}) != a || a.Minus(a) != (Digest{}) {
			t.Fatalf("%x, %x, %x", a, b, c)
		}
		sum := new(big.Int).Add(new(big.Int).SetBytes(a[:]), new(big.Int).SetBytes(b[:]))
		if got := a.Plus(b); new(big.Int).SetBytes(got[:]).Cmp(sum.Mod(sum, modulus)) != 0 {
			t.Fatalf("%x + %x = %x", a, b, got)
		}
	})
}
