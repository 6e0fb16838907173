package state

import (
	"encoding/binary"
	"math"

	"daybook/internal/billing"
)

// A generation is a part of the locators: those of events first seen while it was the newest.
//
// Event ids come in no order, so a new locator falls anywhere among those that are there, and compactions
// would write the old ones again for the sake of the new: the more there are, the more often.
// Within a generation that happens as often as its size allows; when the next one has begun, nothing comes
// to it any more but corrections, and its tables lie still. The price is that an event which is there may be in
// any of them and is looked for in one after the other, the newest first. Most events are new, which
// the membership filter knows.
type generation uint16

const maxGeneration = math.MaxUint16

const (
	// generationEvents is a little less than a large write brings: the next begins another generation, so that its table
	// of locators overlaps no other and is not written again.
	generationEvents = 400_000
	// generationShare bounds how many generations there are: each has at least this part of all
	// events, so a state a hundred times as large has some eighty more.
	generationShare = 16
)

// begin starts another generation if the newest is large enough.
func (t *totals) begin(least int64) {
	if t.locators-t.older >= max(least, t.locators/generationShare) && t.generation < maxGeneration {
		t.generation++
		t.older = t.locators
	}
}

// locator calls f with the value of an event's locator, looking in all generations up to newest.
func (v view) locator(newest generation, t billing.TenantID, id billing.EventID, f func(value []byte) error) (g generation, found bool, err error) {
	key := appendLocatorKey(nil, newest, t, id)
	for g = newest; ; g-- {
		binary.BigEndian.PutUint16(key[1:], uint16(g))
		if found, err = v.get(key, f); found || err != nil || g == 0 {
			return g, found, err
		}
	}
}

// keyGeneration is the generation of a locator's key that locatorEvent has read.
func keyGeneration(key []byte) generation { return generation(binary.BigEndian.Uint16(key[1:])) }
