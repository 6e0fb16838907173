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

// A locator says where the winner's record lies, and the record says the rest: its version,
// and the content that its digest is of. Locators are in the order of random keys, so
// compactions move them most often; each byte in them is written several times over. A
// deleted winner has no record, and its version is in the locator.

// AppendLocatorValue appends a locator's value.
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

// ParseLocatorValue reads what a locator says of a winner.
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

// A generation is a part of the locators: those of events first seen while it was the newest.
//
// Event ids come in no order, so a new locator falls anywhere among those that are there, and compactions
// would write the old ones again for the sake of the new: the more there are, the more often.
// Within a generation that happens as often as its size allows; when the next one has begun, nothing comes
// to it any more but corrections, and its tables lie still. The price is that an event which is there may be in
// any of them and is looked for in one after the other, the newest first. Most events are new, which
// the membership filter knows.
type Generation uint16

const MaxGeneration = math.MaxUint16

// LocatorGeneration is the generation of a locator's key that locatorEvent has read.
func LocatorGeneration(key []byte) Generation { return Generation(binary.BigEndian.Uint16(key[1:])) }

// SetLocatorGeneration replaces the generation in a locator's key.
func SetLocatorGeneration(key []byte, g Generation) { binary.BigEndian.PutUint16(key[1:], uint16(g)) }
