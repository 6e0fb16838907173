package state

import (
	"encoding/binary"
	"hash/maphash"

	"daybook/internal/billing"
	"daybook/internal/dedup"
	"daybook/internal/state/format"
)

// rowLengths are the lengths, in bytes, of the two rows that an upsert is stored as.
type rowLengths struct {
	locatorKey, locator uint32
	recordKey, record   uint32
	accountDay          uint32 // the prefix of the record's key that names the account-day
}

// appendRows appends the rows that the store holds if e is the only version of its event: the key and the value of its
// locator, then the key and the value of its record. The generation in the locator's key is zero; the write sets it.
// money and texts are where the encoded money and the texts after it begin in the record's value.
func appendRows(b []byte, e *billing.Event) (rows []byte, n rowLengths, money, texts int) {
	winner := dedup.WinnerOf(e, billing.Digest{})
	start := len(b)
	b = format.AppendLocatorKey(b, 0, e.Tenant, e.ID)
	locator := len(b)
	b = format.AppendLocatorValue(b, &winner)
	recordKey := len(b)
	b, accountDay := format.AppendRecordKeyOfLocator(b, b[start:locator], e.Account, e.Day)
	record := len(b)
	b = format.AppendVersion(append(b, 0), e.Version)
	money = len(b) - record
	b = format.AppendMoney(b, e.Cost)
	texts = len(b) - record
	b = format.AppendRecordTexts(b, record, e)
	n = rowLengths{
		locatorKey: uint32(locator - start), locator: uint32(recordKey - locator),
		recordKey: uint32(record - recordKey), record: uint32(len(b) - record),
		accountDay: uint32(accountDay - recordKey),
	}
	return b, n, money, texts
}

// maxRowBytes bounds what appendRows appends for e: each byte of a key may be escaped, and fields have lengths.
func maxRowBytes(e *billing.Event) int {
	keys := 2*(len(e.Tenant)+len(e.ID)) + len(e.Account)
	return 2*keys + len(e.Account) + len(e.Service) + len(e.Region) + len(e.PricingModel) + len(e.Category) +
		len(e.Period) + len(e.Attributes) + 256
}

// version is one version of an event: the winner that it would be alone, and its money. The Digest of the winner is a
// contentHash; a delete has a zero one, because all deletes of an event have the same content.
type version struct {
	dedup.Winner
	cost billing.Money
}

// event is the event that dedup.Resolve resolves: of its content it looks at account, day and money.
func (v *version) event(t billing.TenantID) billing.Event {
	e := billing.Event{Tenant: t, Account: v.Account, Day: v.Day, Cost: v.cost, Version: v.Version}
	if v.Deleted {
		e.Op = billing.Delete
	}
	return e
}

// deletedVersion is the version of a delete.
func deletedVersion(v billing.Version) version {
	return version{Winner: dedup.Winner{Version: v, Deleted: true}}
}

// versionParser reads versions out of record rows. It is for one goroutine.
type versionParser struct {
	strings format.Strings
	content []byte // scratch
}

// parse reads the version that a record's row has. Its strings stay valid.
func (p *versionParser) parse(key, value []byte) (v version, err error) {
	k, err := format.ParseDayKey(key)
	if err != nil {
		return v, err
	}
	account, _, err := format.CutKeyString(k.Rest)
	if err != nil {
		return v, err
	}
	v.Account, v.Day = billing.AccountID(p.strings.Intern(account)), k.Day
	f := format.Decoder{Rest: value}
	f.Byte() // flags
	v.Version = f.Version()
	money := len(value) - len(f.Rest)
	v.cost = f.Money()
	if f.Bad {
		return v, f.Done("record")
	}
	v.Digest = p.contentHash(key, value, money)
	return v, nil
}

// contentHash identifies the content of a record's row, which is all but the version: two versions of an event have
// equal content if and only if their rows are equal without it, because rows are a canonical encoding. money is
// where the money begins in value, after flags and version.
//
// The hash is compared only with others of this process and never stored, so it is a keyed hash of 128 bits whose
// keys are drawn when the process starts: no input can be constructed in which two contents share it, and it takes
// a tenth of the time of billing.Event.Digest, which is a SHA-256.
func (p *versionParser) contentHash(key, value []byte, money int) (d billing.Digest) {
	// Without the keyspace, which differs between a record and its overlay.
	p.content = append(append(p.content[:0], key[1:]...), value[0])
	p.content = append(p.content, value[money:]...)
	for i, seed := range contentSeeds {
		binary.BigEndian.PutUint64(d[8*i:], maphash.Bytes(seed, p.content))
	}
	return d
}

var contentSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
