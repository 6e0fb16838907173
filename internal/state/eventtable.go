package state

import (
	"math/bits"

	"github.com/zeebo/xxh3"

	"daybook/internal/billing"
	"daybook/internal/dedup"
	"daybook/internal/state/format"
)

// eventEntry is an event that has, or may have, more than one version known to a transaction: the winner that the store
// holds, and the winner so far.
type eventEntry struct {
	hash       xxh3.Uint128 // of the event's key
	locatorKey []byte       // with generation 0
	tenant     billing.TenantID

	stored   storedWinner
	isStored bool

	winner  dedup.Winner
	found   bool          // there is a winner
	changed bool          // the transaction changed it
	cost    billing.Money // the money of the winner's event; zero if it is deleted
	record  recordRow     // the record of the winner, if the transaction brings it
}

// storedWinner is a winner as the store holds it.
type storedWinner struct {
	generation format.Generation // of its locator
	winner     dedup.Winner
	cost       billing.Money
	digest     billing.Digest // of its record; zero when deleted
	overlay    bool           // its record is in the keyspace of overlays
}

// eventKey is the key by which the entry is found.
func (e *eventEntry) eventKey() []byte { return e.locatorKey[format.LocatorHeader:] }

// setStored makes the winner that the store holds the winner so far.
func (e *eventEntry) setStored() { e.winner, e.cost, e.found = e.stored.winner, e.stored.cost, true }

// eventTable holds entries by the hash of their keys: open addressing with linear probing, at most half full. A
// slot has 32 bits of the hash beside the index of the entry, so that most look-ups of events without an entry do
// not touch an entry. Memory is kept from transaction to transaction, as much as the largest one needed.
type eventTable struct {
	entries []eventEntry
	slots   []tableSlot // a power of two
	keys    []byte      // memory of keys, until it is full
	tenants format.Strings
}

// tableSlot refers to an entry. The zero slot is free.
type tableSlot struct {
	entry int32 // index in entries, plus one
	tag   uint32
}

func tagOf(hash xxh3.Uint128) uint32 { return uint32(hash.Hi) }

// reset empties t.
func (t *eventTable) reset() {
	clear(t.entries) // drops references to the memory of parts
	t.entries, t.keys = t.entries[:0], t.keys[:0]
	t.rehash(8)
}

// rehash makes t large enough for n events.
func (t *eventTable) rehash(n int) {
	size := 1 << bits.Len(uint(2*n-1))
	if cap(t.slots) >= size {
		t.slots = t.slots[:size]
		clear(t.slots)
	} else {
		t.slots = make([]tableSlot, size)
	}
	for i := range t.entries {
		t.insert(i)
	}
}

// insert makes the i-th entry findable.
func (t *eventTable) insert(i int) {
	hash := t.entries[i].hash
	mask := uint64(len(t.slots) - 1)
	at := hash.Lo & mask
	for t.slots[at].entry != 0 {
		at = (at + 1) & mask
	}
	t.slots[at] = tableSlot{int32(i) + 1, tagOf(hash)}
}

// find returns the entry of an event key with its hash, nil if there is none. It is valid until the next add.
func (t *eventTable) find(hash xxh3.Uint128, key []byte) *eventEntry {
	mask := uint64(len(t.slots) - 1)
	for at := hash.Lo & mask; ; at = (at + 1) & mask {
		slot := t.slots[at]
		if slot.entry == 0 {
			return nil
		}
		if slot.tag != tagOf(hash) {
			continue
		}
		if e := &t.entries[slot.entry-1]; e.hash == hash && string(e.eventKey()) == string(key) {
			return e
		}
	}
}

// add makes an entry for an event that has none. The entry is valid until the next add.
func (t *eventTable) add(hash xxh3.Uint128, key []byte) (*eventEntry, error) {
	tenant, _, err := format.CutKeyString(key)
	if err != nil {
		return nil, err
	}
	n := format.LocatorHeader + len(key)
	if n > cap(t.keys)-len(t.keys) {
		t.keys = make([]byte, 0, max(slabBytes, n))
	}
	at := len(t.keys)
	t.keys = append(append(t.keys, format.SpaceLocator, 0, 0), key...)
	t.entries = append(t.entries, eventEntry{
		hash: hash, locatorKey: t.keys[at:len(t.keys):len(t.keys)], tenant: billing.TenantID(t.tenants.Intern(tenant)),
	})
	if 2*len(t.entries) > len(t.slots) {
		t.rehash(2 * len(t.entries))
	} else {
		t.insert(len(t.entries) - 1)
	}
	return &t.entries[len(t.entries)-1], nil
}
