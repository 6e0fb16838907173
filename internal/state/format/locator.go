package format

import (
	"encoding/binary"
	"math"

	"daybook/internal/billing"
	"daybook/internal/dedup"
)

// Flags of a locator's value.
const (
	LocatorDeleted = 1 << iota
	LocatorTied
)

// A locator says in which account-day the winner's record is. The record has the rest, its version and content.
// Locators are in the order of event ids, which is random, so compactions move them most often and each byte is
// written several times: they are as short as possible. A deleted winner has no record, so its locator has the
// version.

// AppendLocatorValue appends the value of a winner's locator.
func AppendLocatorValue(b []byte, w *dedup.Winner) []byte {
	var flags byte
	if w.Tied {
		flags |= LocatorTied
	}
	if w.Deleted {
		return AppendVersion(append(b, flags|LocatorDeleted), w.Version)
	}
	b = binary.AppendVarint(append(b, flags), int64(w.Day))
	return append(b, w.Account...)
}

// ParseLocatorValue reads what a locator says of a winner: deleted, tied, and account and day, or the version if it
// is deleted.
func ParseLocatorValue(value []byte) (w dedup.Winner, err error) {
	f := Decoder{Rest: value}
	flags := f.Byte()
	w.Deleted, w.Tied = flags&LocatorDeleted != 0, flags&LocatorTied != 0
	if w.Deleted {
		w.Version = f.Version()
	} else {
		w.Day = billing.Day(f.Varint())
		w.Account = billing.AccountID(f.Rest)
		f.Rest = nil
	}
	return w, f.Done("locator")
}

// Generation numbers a part of the locators: those of events that were first seen while it was the newest.
//
// Event ids come in no order, so a new locator may belong anywhere among the existing ones. In one ordered set,
// compactions would rewrite old locators for every batch of new ones; write amplification would grow with the
// state. Partitioned by age, it is bounded by the size of a generation: when the next one has begun, an old
// generation gets nothing but corrections. The price is that an event that exists may be in any generation and is
// looked up in one after another, newest first. Most events are new, which the membership filter knows without a
// look-up.
type Generation uint16

// MaxGeneration is the last one.
const MaxGeneration = math.MaxUint16

// LocatorGeneration is the generation in a locator's key, which ParseLocatorKey has accepted.
func LocatorGeneration(key []byte) Generation { return Generation(binary.BigEndian.Uint16(key[1:])) }

// SetLocatorGeneration replaces the generation in a locator's key.
func SetLocatorGeneration(key []byte, g Generation) { binary.BigEndian.PutUint16(key[1:], uint16(g)) }
