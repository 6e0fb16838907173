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

// appendWinner appends a locator's value.
func appendWinner(b []byte, w *dedup.Winner) []byte {
	var flags byte
	if w.Deleted {
		flags |= winnerDeleted
	}
	if w.Tied {
		flags |= winnerTied
	}
	b = appendVersion(append(b, flags), w.Version)
	b = append(b, w.Digest[:]...)
	if w.Deleted {
		return b
	}
	b = binary.AppendVarint(b, int64(w.Day))
	return append(b, w.Account...)
}

func parseWinner(value []byte) (w dedup.Winner, err error) {
	f := fields{b: value}
	flags := f.byte()
	w.Deleted, w.Tied = flags&winnerDeleted != 0, flags&winnerTied != 0
	w.Version = f.version()
	w.Digest = f.digest()
	if !w.Deleted {
		w.Day = billing.Day(f.varint())
		w.Account = billing.AccountID(f.b)
		f.b = nil
	}
	return w, f.done("locator")
}
