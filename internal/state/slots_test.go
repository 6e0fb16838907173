package state

import (
	"fmt"
	"testing"

	"github.com/zeebo/xxh3"
	"pgregory.net/rapid"

	"daybook/internal/billing"
)

// TestSlots holds the table against a map, with hashes of which many are equal, from write to write.
func TestSlots(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var s slots
		for range rapid.IntRange(1, 3).Draw(t, "writes") {
			s.reset(rapid.IntRange(0, 40).Draw(t, "room"))
			want := map[billing.EventID]int{}
			for range rapid.IntRange(0, 100).Draw(t, "events") {
				n := rapid.IntRange(0, 60).Draw(t, "event")
				id := billing.EventID(fmt.Sprint(n))
				hash := xxh3.Uint128{Lo: uint64(n % 7)}
				found := s.find(hash, "t", id)
				at, there := want[id]
				if (found != nil) != there || there && found != &s.all[at] {
					t.Fatalf("event %s: found %t, want %t", id, found != nil, there)
				}
				if s.find(hash, "other", id) != nil {
					t.Fatalf("event %s is found for another tenant", id)
				}
				if !there {
					want[id] = len(s.all)
					s.add(hash, "t", id)
				}
			}
			if len(s.all) != len(want) {
				t.Fatalf("%d slots of %d events", len(s.all), len(want))
			}
		}
	})
}
