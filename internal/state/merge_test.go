package state

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestMergeIsSorted: merges of the ranges of a split pass every row on once, in the order of keys; of keys that come
// several times, within a run and in others, that are the beginning of others, or that differ late.
func TestMergeIsSorted(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 5))
	for _, n := range []int{0, 1, 2, 3, 8, 25} {
		sp, err := newSpool(vfs.NewMem(), "", "runs", 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for range n {
			for range 1 + rng.IntN(400) {
				key := []byte{byte(rng.IntN(2)) * 0xff}
				switch rng.IntN(4) {
				case 0:
					key = append(key, make([]byte, rng.IntN(20))...)
				case 1:
					key = fmt.Appendf(key, "account-%d-%d", rng.IntN(3), rng.IntN(100))
				case 2:
					key = append(key, bytes.Repeat([]byte{0xff}, rng.IntN(20))...)
				default:
					key = fmt.Appendf(key, "%x", rng.Uint64())
				}
				sp.set(key, key)
				want = append(want, string(key))
			}
			if err := sp.spill(); err != nil {
				t.Fatal(err)
			}
		}
		slices.Sort(want)
		var got []string
		var low []byte
		for _, high := range append(split(sp.runs, 3), nil) {
			m, err := newMerge(sp.runs, low, high, 0)
			if err != nil {
				t.Fatal(err)
			}
			for {
				key, value, err := m.next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(key, value) {
					t.Fatalf("%d runs: key %x has the value of %x", n, key, value)
				}
				got = append(got, string(key))
			}
			low = high
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%d runs: %d rows came, not the %d sorted", n, len(got), len(want))
		}
		if err := sp.close(); err != nil {
			t.Fatal(err)
		}
	}
}
