package state

import (
	"encoding/binary"

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

// stored is a winner as the state holds it; lookup finds it.
type stored struct {
	generation generation // of its locator
	winner     dedup.Winner
	cost       billing.Money
	row        setDigest // of its record; zero when deleted
	amended    bool      // its record lies among the amended
}
