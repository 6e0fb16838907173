package format

import (
	"fmt"
	"unsafe"

	"daybook/internal/billing"
	"daybook/internal/intern"
)

// Flags of a record's value: which fields follow.
const (
	hasRegion = 1 << iota
	hasPricingModel
	hasCategory
	hasPeriod
	hasAttributes
)

// AppendRecordValue appends a record's value: what its key does not say.
func AppendRecordValue(b []byte, e *billing.Event) []byte {
	at := len(b)
	b = AppendVersion(append(b, 0), e.Version)
	return AppendRecordTexts(AppendMoney(b, e.Cost), at, e)
}

// AppendRecordTexts appends the rest of a record's value, which begins at at.
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

// Strings makes strings of bytes that will be overwritten. Values that repeat
// are made once.
type Strings struct {
	recent [intern.Slots]string // a cache of seen
	seen   map[string]string
	arena  []byte
}

// Intern is for values that repeat from event to event.
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

// find is the one string of a value.
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

// ParseRecordValue fills what a record's value says. Identifiers come from the key.
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

// Copy is for values that do not repeat: many share one allocation.
func (t *Strings) Copy(b []byte) string {
	if len(b) > cap(t.arena)-len(t.arena) {
		t.arena = make([]byte, 0, max(32<<10, len(b)))
	}
	at := len(t.arena)
	t.arena = append(t.arena, b...)
	return unsafe.String(unsafe.SliceData(t.arena[at:]), len(b))
}

// ParseRecord reads a record's key and value into e.
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

// ParseRecordTail reads a record whose key is that of e's account-day, followed by id.
func ParseRecordTail(id, value []byte, e *billing.Event, t *Strings) error {
	var uuid [36]byte
	id, rest, err := CutEventID(id, &uuid)
	if err != nil {
		return err
	}
	if len(rest) != 0 {
		return fmt.Errorf("%w: record key with a tail", ErrDamaged)
	}
	e.ID = billing.EventID(t.Copy(id))
	return ParseRecordValue(value, e, t)
}

// AccountDayPrefix is how much of a record's key names its account-day.
func AccountDayPrefix(key []byte) (int, error) {
	k, err := ParseDayKey(key)
	if err != nil {
		return 0, err
	}
	_, rest, err := CutKeyString(k.Rest)
	return len(key) - len(rest), err
}
