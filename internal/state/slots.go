package state

import (
	"math/bits"

	"github.com/zeebo/xxh3"

	"daybook/internal/billing"
	"daybook/internal/dedup"
)

// slot is one event that a write touches: its winner before and after.
type slot struct {
	tenant     billing.TenantID
	id         billing.EventID
	hash       uint64  // of the locator key
	prev       *stored // nil: the store has none
	cur        dedup.Winner
	has        bool
	changed    bool
	undigested bool           // the content of cur: the digest is made when another version comes
	event      *billing.Event // the content of cur, if this write brought it
}

// slots are the events that a write touches, in the order of their first version, and found by
// the hash of their locator key. Memory is kept from write to write: as much as the largest needed.
type slots struct {
	all   []slot
	table []int32 // open addressing by hash: a place in all, plus one; 0 is free
}

// reset empties t and makes room for n events.
func (t *slots) reset(n int) {
	clear(t.all) // lets go of the events
	if t.all = t.all[:0]; cap(t.all) < n {
		t.all = make([]slot, 0, n)
	}
	t.rehash(max(n, 8))
}

// rehash makes a table for n events, of which half are free then.
func (t *slots) rehash(n int) {
	size := 1 << bits.Len(uint(2*n-1))
	if cap(t.table) >= size {
		t.table = t.table[:size]
		clear(t.table)
	} else {
		t.table = make([]int32, size)
	}
	for i := range t.all {
		t.table[t.free(t.all[i].hash)] = int32(i) + 1
	}
}

// free is the place in the table where a hash is to go.
func (t *slots) free(hash uint64) uint64 {
	mask := uint64(len(t.table) - 1)
	at := hash & mask
	for t.table[at] != 0 {
		at = (at + 1) & mask
	}
	return at
}

// find is the event's slot, nil if there is none. It is valid until the next add.
func (t *slots) find(hash xxh3.Uint128, tenant billing.TenantID, id billing.EventID) *slot {
	mask := uint64(len(t.table) - 1)
	for at := hash.Lo & mask; t.table[at] != 0; at = (at + 1) & mask {
		if sl := &t.all[t.table[at]-1]; sl.hash == hash.Lo && sl.id == id && sl.tenant == tenant {
			return sl
		}
	}
	return nil
}

// at finds the event's slot, or makes one. It is valid until the next is made.
func (t *slots) at(hash xxh3.Uint128, tenant billing.TenantID, id billing.EventID) *slot {
	if sl := t.find(hash, tenant, id); sl != nil {
		return sl
	}
	return t.add(hash, tenant, id)
}

// add makes a slot. It is valid until the next add.
func (t *slots) add(hash xxh3.Uint128, tenant billing.TenantID, id billing.EventID) *slot {
	if 2*len(t.all) >= len(t.table) {
		t.rehash(2 * len(t.all))
	}
	t.table[t.free(hash.Lo)] = int32(len(t.all)) + 1
	t.all = append(t.all, slot{tenant: tenant, id: id, hash: hash.Lo})
	return &t.all[len(t.all)-1]
}

// hold begins with the winner that the store holds.
func (sl *slot) hold() { sl.cur, sl.has = sl.prev.winner, true }
