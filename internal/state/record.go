package state

import (
	"fmt"
	"unsafe"

	"daybook/internal/billing"
)

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
	return appendTexts(appendMoney(b, e.Cost), at, e)
}

// appendTexts appends the rest of a record's value, which begins at at.
func appendTexts(b []byte, at int, e *billing.Event) []byte {
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
	recent [64]string // by a few of their bytes: most values are among them, and found without hashing
	seen   map[string]string
	arena  []byte
}

// word is for values that repeat from event to event.
func (t *texts) word(b []byte) string {
	n := len(b)
	if n == 0 {
		return ""
	}
	at := &t.recent[(n+int(b[n/2])*3+int(b[n-1])*7)%len(t.recent)]
	if *at != string(b) {
		*at = t.find(b)
	}
	return *at
}

// find is the one string of a value.
func (t *texts) find(b []byte) string {
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
	e.Op = billing.Upsert
	e.Tenant, e.Day = billing.TenantID(t.word(k.tenant)), k.day
	if string(e.Account) != string(account) {
		e.Account = billing.AccountID(account)
	}
	return parseNext(rest, value, e, t)
}

// parseNext reads a record whose key is that of e's account-day, followed by id.
func parseNext(id, value []byte, e *billing.Event, t *texts) error {
	var uuid [36]byte
	id, rest, err := keyEvent(id, &uuid)
	if err != nil {
		return err
	}
	if len(rest) != 0 {
		return fmt.Errorf("%w: record key with a tail", ErrDamaged)
	}
	e.ID = billing.EventID(t.text(id))
	return parseContent(value, e, t)
}

// accountPrefix is how much of a record's key names its account-day.
func accountPrefix(key []byte) (int, error) {
	k, err := parseDayKey(key)
	if err != nil {
		return 0, err
	}
	_, rest, err := keyString(k.rest)
	return len(key) - len(rest), err
}
