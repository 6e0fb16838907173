package state

import (
	"fmt"
	"testing"

	"github.com/zeebo/xxh3"
	"pgregory.net/rapid"

	"daybook/internal/billing"
	"daybook/internal/state/format"
)

// TestEventTable holds the table against a map, with hashes of which many are equal, from write to write.
func TestEventTable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var s eventTable
		for range rapid.IntRange(1, 3).Draw(t, "writes") {
			s.reset()
			want := map[billing.EventID]int{}
			for range rapid.IntRange(0, 100).Draw(t, "events") {
				n := rapid.IntRange(0, 60).Draw(t, "event")
				id := billing.EventID(fmt.Sprint(n))
				key := format.AppendEventKey(nil, "t", id)
				hash := xxh3.Uint128{Lo: uint64(n % 7), Hi: uint64(n % 3)}
				found := s.find(hash, key)
				at, there := want[id]
				if (found != nil) != there || there && found != &s.entries[at] {
					t.Fatalf("event %s: found %t, want %t", id, found != nil, there)
				}
				if s.find(hash, format.AppendEventKey(nil, "other", id)) != nil {
					t.Fatalf("event %s is found for another tenant", id)
				}
				if there {
					continue
				}
				want[id] = len(s.entries)
				e, err := s.add(hash, key)
				if err != nil || e.tenant != "t" || string(e.eventKey()) != string(key) {
					t.Fatalf("event %s has the entry %+v, %v", id, e, err)
				}
			}
			if len(s.entries) != len(want) {
				t.Fatalf("%d entries of %d events", len(s.entries), len(want))
			}
		}
	})
}
