package state

import (
	"math/bits"

	"github.com/zeebo/xxh3"

	"daybook/internal/billing"
	"daybook/internal/dedup"
	"daybook/internal/state/format"
)

// slot is one event of which a write has, or may have, to know more than one version: its winner before and after.
type slot struct {
	key        string // of the event
	tenant     billing.TenantID
	id         billing.EventID
	hash       xxh3.Uint128 // of the key
	prev       *stored      // nil: the store has none
	cur        dedup.Winner
	has        bool
	changed    bool
	undigested bool           // the content of cur: the digest is made when another version comes
	event      *billing.Event // the content of cur, if this write brought it
}

// slots are such events, found by the hash of their key. Memory is kept from write to write: as much as the
// largest needed.
type slots struct {
	all   []slot
	table []slotPlace // open addressing
}

// slotPlace is where a slot lies. Most events that are looked for have none, and are told from those around
// them without a look at those.
type slotPlace struct {
	at  int32  // in slots.all, plus one; 0 is free
	tag uint32 // of the hash
}

func tagOf(hash xxh3.Uint128) uint32 { return uint32(hash.Hi) }

// reset empties t.
func (t *slots) reset() {
	clear(t.all) // lets go of the events
	t.all = t.all[:0]
	t.rehash(8)
}

// rehash makes a table for n events, of which half are free then.
func (t *slots) rehash(n int) {
	size := 1 << bits.Len(uint(2*n-1))
	if cap(t.table) >= size {
		t.table = t.table[:size]
		clear(t.table)
	} else {
		t.table = make([]slotPlace, size)
	}
	for i := range t.all {
		t.place(i)
	}
}

// place puts the i-th slot into the table.
func (t *slots) place(i int) {
	hash := t.all[i].hash
	mask := uint64(len(t.table) - 1)
	at := hash.Lo & mask
	for t.table[at].at != 0 {
		at = (at + 1) & mask
	}
	t.table[at] = slotPlace{int32(i) + 1, tagOf(hash)}
}

// find is the event's slot, nil if there is none. It is valid until the next add.
func (t *slots) find(hash xxh3.Uint128, key []byte) *slot {
	mask := uint64(len(t.table) - 1)
	for at := hash.Lo & mask; ; at = (at + 1) & mask {
		p := t.table[at]
		if p.at == 0 {
			return nil
		}
		if p.tag != tagOf(hash) {
			continue
		}
		if sl := &t.all[p.at-1]; sl.hash == hash && sl.key == string(key) {
			return sl
		}
	}
}

// add makes a slot. It is valid until the next add.
func (t *slots) add(hash xxh3.Uint128, key []byte) (*slot, error) {
	var uuid [36]byte
	tenant, rest, err := format.CutKeyString(key)
	if err != nil {
		return nil, err
	}
	id, _, err := format.CutEventID(rest, &uuid)
	if err != nil {
		return nil, err
	}
	t.all = append(t.all, slot{key: string(key), tenant: billing.TenantID(tenant), id: billing.EventID(id), hash: hash})
	if 2*len(t.all) > len(t.table) {
		t.rehash(2 * len(t.all))
	} else {
		t.place(len(t.all) - 1)
	}
	return &t.all[len(t.all)-1], nil
}

// hold begins with the winner that the store holds.
func (sl *slot) hold() { sl.cur, sl.has = sl.prev.winner, true }
