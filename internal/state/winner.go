package state

import (
	"encoding/binary"
	"fmt"

	"daybook/internal/billing"
	"daybook/internal/dedup"
)

// Flags of a locator's value.
const (
	winnerDeleted = 1 << iota
	winnerTied
)

// A locator says where the winner's record lies, and the record says the rest: its version,
// and the content that its digest is of. Locators are in the order of random keys, so
// compactions move them most often; each byte in them is written several times over. A
// deleted winner has no record, and its version is in the locator.

// appendLocator appends a locator's value.
func appendLocator(b []byte, w *dedup.Winner) []byte {
	var flags byte
	if w.Tied {
		flags |= winnerTied
	}
	if w.Deleted {
		return appendVersion(append(b, flags|winnerDeleted), w.Version)
	}
	b = binary.AppendVarint(append(b, flags), int64(w.Day))
	return append(b, w.Account...)
}

// parseLocator reads what a locator says of a winner.
func parseLocator(value []byte) (w dedup.Winner, err error) {
	f := fields{b: value}
	flags := f.byte()
	w.Deleted, w.Tied = flags&winnerDeleted != 0, flags&winnerTied != 0
	if w.Deleted {
		w.Version = f.version()
	} else {
		w.Day = billing.Day(f.varint())
		w.Account = billing.AccountID(f.b)
		f.b = nil
	}
	return w, f.done("locator")
}

// stored is a winner as the state holds it.
type stored struct {
	generation generation // of its locator
	winner     dedup.Winner
	cost       billing.Money
	row        setDigest // of its record; zero when deleted
	amended    bool      // its record lies among the amended
}

// stored reads an event's winner, nil if there is none. No locator is of a generation after newest.
func (v view) stored(newest generation, t billing.TenantID, id billing.EventID, words *texts) (*stored, error) {
	var st stored
	w := &st.winner
	g, found, err := v.locator(newest, t, id, func(value []byte) (err error) {
		*w, err = parseLocator(value)
		return err
	})
	if err != nil || !found {
		return nil, err
	}
	st.generation = g
	e := billing.Event{Tenant: t, ID: id, Account: w.Account, Day: w.Day}
	if w.Deleted {
		e.Op = billing.Delete
		w.Digest = e.Digest()
		return &st, nil
	}
	key := appendAmendedKey(nil, e.AccountDay(), id)
	read := func(value []byte) error {
		st.row = hashRecord(append(key, value...))
		return parseContent(value, &e, words)
	}
	if st.amended, err = v.get(key, read); err == nil && !st.amended {
		key[0] = spaceRecord
		found, err = v.get(key, read)
	}
	if err == nil && !found {
		err = fmt.Errorf("%w: an event has no record where its locator says", ErrDamaged)
	}
	w.Version, w.Digest, st.cost = e.Version, e.Digest(), e.Cost
	return &st, err
}
