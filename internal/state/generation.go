package state

import (
	"encoding/binary"

	"daybook/internal/billing"
	"daybook/internal/state/format"
)

const (
	// generationEvents is a little less than a large write brings, so that the next write begins another
	// generation: its table of locators overlaps no other, and no compaction rewrites it.
	generationEvents = 400_000
	// generationShare bounds the number of generations: each has at least this part of all events, so a state a
	// hundred times as large has some eighty more.
	generationShare = 16
)

// startGeneration starts another generation if the newest is large enough.
func startGeneration(t *format.Totals, least int64) {
	if t.Locators-t.Older >= max(least, t.Locators/generationShare) && t.Generation < format.MaxGeneration {
		t.Generation++
		t.Older = t.Locators
	}
}

// locator calls f with the value of an event's locator. It probes the generations from newest to the first.
func (v view) locator(newest format.Generation, t billing.TenantID, id billing.EventID, f func(value []byte) error) (g format.Generation, found bool, err error) {
	key := format.AppendLocatorKey(nil, newest, t, id)
	for g = newest; ; g-- {
		binary.BigEndian.PutUint16(key[1:], uint16(g))
		if found, err = v.get(key, f); found || err != nil || g == 0 {
			return g, found, err
		}
	}
}
