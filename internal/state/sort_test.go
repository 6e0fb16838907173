package state

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"daybook/internal/state/format"
)

// TestSplitRowsAreSorted: every row is in the table of its keyspace, and tables are in the
// order of keys, for few and for many rows whose keys have long and short beginnings in common.
func TestSplitRowsAreSorted(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 7))
	var c changes
	for _, n := range []int{0, 1, 17, 1_000, 30_000} {
		c.reset()
		want := map[string]bool{}
		for len(want) < n {
			space := []byte{format.SpaceJournal, format.SpaceLocator, format.SpaceRecord, format.SpaceMarker, format.SpaceTie, format.SpaceByDay}[rng.IntN(6)]
			key := append([]byte{space}, "tenant"[:rng.IntN(7)]...)
			switch rng.IntN(4) {
			case 0: // short, so that one is often the beginning of another
				key = append(key, make([]byte, rng.IntN(12))...)
			case 1: // all bytes at random
				for range 16 {
					key = append(key, byte(rng.Uint32()))
				}
			case 2: // a long beginning in common, after it more than eight bytes
				key = fmt.Appendf(key, "account-000000000000-%012d", rng.IntN(1e6))
			default: // one byte differs
				key = fmt.Appendf(key, "%c-the-rest-is-the-same", rng.IntN(256))
			}
			if !want[string(key)] {
				want[string(key)] = true
				c.set(key, nil)
			}
		}
		got := 0
		var last []byte
		for i, part := range c.split() {
			for _, k := range part.sorted() {
				key := c.key(k.row)
				if bytes.Compare(key, last) <= 0 {
					t.Fatalf("%d rows: %x follows %x", n, key, last)
				}
				if key[0] >= tableEnds[i] {
					t.Fatalf("%d rows: %x is in table %d", n, key, i)
				}
				if !want[string(key)] {
					t.Fatalf("%d rows: %x was never put", n, key)
				}
				last = slices.Clone(key)
				got++
			}
		}
		if got != n {
			t.Fatalf("%d of %d rows are in tables", got, n)
		}
	}
}
