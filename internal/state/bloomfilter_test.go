package state

import (
	"math/rand/v2"
	"testing"

	"github.com/zeebo/xxh3"
)

// TestBloomFilterFalsePositives: every key that was added is known, and few others are: as many as the comment on
// bloomFilter says.
func TestBloomFilterFalsePositives(t *testing.T) {
	const keys = 200_000
	for _, c := range []struct {
		bitsPerKey int64
		want       float64 // share of new keys that are taken for old ones
	}{{16, 0.0011}, {10, 0.0096}, {8, 0.026}, {5, 0.14}} {
		rng := rand.New(rand.NewPCG(1, 2))
		f := newBloomFilter(keys * c.bitsPerKey / 8)
		f.filled.Store(true)
		added := make([]xxh3.Uint128, keys)
		for i := range added {
			added[i] = xxh3.Uint128{Hi: rng.Uint64(), Lo: rng.Uint64()}
			f.add(added[i])
		}
		for _, h := range added {
			if !f.has(h) {
				t.Fatalf("%d bits a key: a key that was added is not known", c.bitsPerKey)
			}
		}
		known := 0
		for range keys {
			if f.has(xxh3.Uint128{Hi: rng.Uint64(), Lo: rng.Uint64()}) {
				known++
			}
		}
		got := float64(known) / keys
		t.Logf("%d bits a key: %.5f", c.bitsPerKey, got)
		if got < c.want*0.7 || got > c.want*1.3 {
			t.Errorf("%d bits a key: %.5f of new keys are taken for old ones, want about %.5f", c.bitsPerKey, got, c.want)
		}
	}
}
