package state

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unsafe"

	"github.com/zeebo/xxh3"

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

// Flags of a record's value: which fields follow.
const (
	hasRegion = 1 << iota
	hasPricingModel
	hasCategory
	hasPeriod
	hasAttributes
)

// appendContent appends a record's value: what its key does not say.
func appendContent(b []byte, e *billing.Event) []byte {
	at := len(b)
	b = appendVersion(append(b, 0), e.Version)
	b = appendMoney(b, e.Cost)
	b = appendString(b, string(e.Service))
	for i, s := range [...]string{string(e.Region), string(e.PricingModel), string(e.Category), string(e.Period), e.Attributes} {
		if s != "" {
			b[at] |= 1 << i
			b = appendString(b, s)
		}
	}
	return b
}

// texts makes strings of bytes that will be overwritten. Values that repeat
// are made once.
type texts struct {
	seen  map[string]string
	arena []byte
}

// word is for values that repeat from event to event.
func (t *texts) word(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := t.seen[string(b)]; ok {
		return s
	}
	if t.seen == nil || len(t.seen) >= 1<<14 {
		t.seen = make(map[string]string)
	}
	s := string(b)
	t.seen[s] = s
	return s
}

// parseContent fills what a record's value says. Identifiers come from the key.
func parseContent(value []byte, e *billing.Event, t *texts) error {
	f := fields{b: value}
	flags := f.byte()
	e.Version = f.version()
	e.Cost = f.money()
	e.Service = billing.ServiceName(t.word(f.bytes()))
	e.Region, e.PricingModel, e.Category, e.Period, e.Attributes = "", "", "", "", ""
	if flags&hasRegion != 0 {
		e.Region = billing.Region(t.word(f.bytes()))
	}
	if flags&hasPricingModel != 0 {
		e.PricingModel = billing.PricingModel(t.word(f.bytes()))
	}
	if flags&hasCategory != 0 {
		e.Category = billing.Category(t.word(f.bytes()))
	}
	if flags&hasPeriod != 0 {
		e.Period = billing.Period(t.word(f.bytes()))
	}
	if flags&hasAttributes != 0 {
		e.Attributes = t.text(f.bytes())
	}
	return f.done("record")
}

// text is for values that do not repeat: many share one allocation.
func (t *texts) text(b []byte) string {
	if len(b) > cap(t.arena)-len(t.arena) {
		t.arena = make([]byte, 0, max(32<<10, len(b)))
	}
	at := len(t.arena)
	t.arena = append(t.arena, b...)
	return unsafe.String(unsafe.SliceData(t.arena[at:]), len(b))
}

// parseRecord reads a record's key and value into e.
func parseRecord(key, value []byte, e *billing.Event, t *texts) error {
	k, err := parseDayKey(key)
	if err != nil {
		return err
	}
	account, rest, err := keyString(k.rest)
	if err != nil {
		return err
	}
	id, rest, err := keyString(rest)
	if err != nil {
		return err
	}
	if len(rest) != 0 {
		return fmt.Errorf("%w: record key with a tail", ErrDamaged)
	}
	e.Op = billing.Upsert
	e.Tenant, e.Day = billing.TenantID(t.word(k.tenant)), k.day
	if string(e.Account) != string(account) {
		e.Account = billing.AccountID(account)
	}
	e.ID = billing.EventID(t.text(id))
	return parseContent(value, e, t)
}

// setDigest is an order-independent digest of a set: the sum of its members'
// 128-bit hashes modulo 2^128. It guards against what is missing or doubled,
// not against someone who forges.
type setDigest struct{ hi, lo uint64 }

func (d *setDigest) add(h setDigest) {
	var carry uint64
	d.lo, carry = bits.Add64(d.lo, h.lo, 0)
	d.hi, _ = bits.Add64(d.hi, h.hi, carry)
}

func (d *setDigest) sub(h setDigest) {
	var borrow uint64
	d.lo, borrow = bits.Sub64(d.lo, h.lo, 0)
	d.hi, _ = bits.Sub64(d.hi, h.hi, borrow)
}

func hashRow(b []byte) setDigest {
	h := xxh3.Hash128(b)
	return setDigest{h.Hi, h.Lo}
}
