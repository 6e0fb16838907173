package format

import (
	"fmt"
	"unsafe"

	"daybook/internal/billing"
	"daybook/internal/intern"
)

// Flags of a record's value: which of the optional fields follow.
const (
	hasRegion = 1 << iota
	hasPricingModel
	hasCategory
	hasPeriod
	hasAttributes
)

// AppendRecordTexts appends the strings of a record's value. The value, with flags, version and money, begins at
// b[at]; the flags are set here.
func AppendRecordTexts(b []byte, at int, e *billing.Event) []byte {
	b = AppendString(b, string(e.Service))
	for i, s := range [...]string{string(e.Region), string(e.PricingModel), string(e.Category), string(e.Period), e.Attributes} {
		if s != "" {
			b[at] |= 1 << i
			b = AppendString(b, s)
		}
	}
	return b
}

// Strings makes strings of bytes that will be overwritten. It is not safe for concurrent use.
type Strings struct {
	recent [intern.Slots]string // a direct-mapped cache, which finds most values without hashing them whole
	seen   map[string]string    // all that were interned since it was full last
	arena  []byte               // of copies
}

// Intern is for values that repeat from event to event: equal bytes usually give the same string, without an
// allocation.
func (t *Strings) Intern(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	at := &t.recent[intern.Slot(b)]
	if *at != string(b) {
		*at = t.find(b)
	}
	return *at
}

// find interns a value that is not in recent.
func (t *Strings) find(b []byte) string {
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

// ParseRecordValue sets the fields of e that a record's value has; those of its key stay as they are.
func ParseRecordValue(value []byte, e *billing.Event, t *Strings) error {
	f := Decoder{Rest: value}
	flags := f.Byte()
	e.Version = f.Version()
	e.Cost = f.Money()
	e.Service = billing.ServiceName(t.Intern(f.Bytes()))
	e.Region, e.PricingModel, e.Category, e.Period, e.Attributes = "", "", "", "", ""
	if flags&hasRegion != 0 {
		e.Region = billing.Region(t.Intern(f.Bytes()))
	}
	if flags&hasPricingModel != 0 {
		e.PricingModel = billing.PricingModel(t.Intern(f.Bytes()))
	}
	if flags&hasCategory != 0 {
		e.Category = billing.Category(t.Intern(f.Bytes()))
	}
	if flags&hasPeriod != 0 {
		e.Period = billing.Period(t.Intern(f.Bytes()))
	}
	if flags&hasAttributes != 0 {
		e.Attributes = t.Copy(f.Bytes())
	}
	return f.Done("record")
}

// Copy is for values that do not repeat: many strings share one allocation.
func (t *Strings) Copy(b []byte) string {
	if len(b) > cap(t.arena)-len(t.arena) {
		t.arena = make([]byte, 0, max(32<<10, len(b)))
	}
	at := len(t.arena)
	t.arena = append(t.arena, b...)
	return unsafe.String(unsafe.SliceData(t.arena[at:]), len(b))
}

// ParseRecord sets all fields of e from a record's key and value.
func ParseRecord(key, value []byte, e *billing.Event, t *Strings) error {
	k, err := ParseDayKey(key)
	if err != nil {
		return err
	}
	account, rest, err := CutKeyString(k.Rest)
	if err != nil {
		return err
	}
	e.Op = billing.Upsert
	e.Tenant, e.Day = billing.TenantID(t.Intern(k.Tenant)), k.Day
	if string(e.Account) != string(account) {
		e.Account = billing.AccountID(account)
	}
	return ParseRecordTail(rest, value, e, t)
}

// ParseRecordTail is ParseRecord of the next record of e's account-day: id is its key without the account-day's
// prefix.
func ParseRecordTail(id, value []byte, e *billing.Event, t *Strings) error {
	var uuid [36]byte
	id, rest, err := CutEventID(id, &uuid)
	if err != nil {
		return err
	}
	if len(rest) != 0 {
		return fmt.Errorf("%w: record key has bytes after the event", ErrDamaged)
	}
	e.ID = billing.EventID(t.Copy(id))
	return ParseRecordValue(value, e, t)
}

// AccountDayPrefix is the length of the part of a record's key that names its account-day.
func AccountDayPrefix(key []byte) (int, error) {
	k, err := ParseDayKey(key)
	if err != nil {
		return 0, err
	}
	_, rest, err := CutKeyString(k.Rest)
	return len(key) - len(rest), err
}
