package format

import (
	"encoding/binary"
	"slices"
	"time"

	"daybook/internal/billing"
)

// QuarantineStatus says whether a quarantined record still makes its account-day incomplete.
type QuarantineStatus string

// The statuses of a quarantined record.
const (
	QuarantineOpen       QuarantineStatus = "open"
	QuarantineSuperseded QuarantineStatus = "superseded" // a greater version of its event was accepted
	QuarantineResolved   QuarantineStatus = "resolved"   // by a decision
)

// Quarantined is a record that is not a valid event.
type Quarantined struct {
	Source    billing.Source
	Rejection billing.Rejection
	Status    QuarantineStatus
	Decision  uint64 // the number of the decision that resolved it
	ArrivedAt time.Time
	Size      int // bytes of the value as it was delivered
	Key       []byte
	Value     []byte // the first MiB; nil unless it was asked for
}

// MaxPayload is how many bytes of a quarantined record's value are kept.
const MaxPayload = 1 << 20

// Cut reports whether only a part of the record's value was kept.
func (q *Quarantined) Cut() bool { return q.Size > MaxPayload }

// AccountDay is the account-day that the record names; false if it does not name one.
func (q *Quarantined) AccountDay() (billing.AccountDay, bool) { return NamedAccountDay(&q.Rejection) }

// NamedAccountDay is the account-day that a rejected record names; false if it does not name one.
func NamedAccountDay(r *billing.Rejection) (billing.AccountDay, bool) {
	a := billing.AccountDay{Tenant: r.Tenant, Account: r.Account, Day: r.Day}
	return a, r.Tenant != "" && r.Account != "" && r.HasDay
}

// Withholds reports whether the record makes its account-day incomplete.
func (q *Quarantined) Withholds() bool {
	_, ok := q.AccountDay()
	return ok && q.Status == QuarantineOpen
}

// Supersedable reports whether a greater version of its event would supersede the record.
func (q *Quarantined) Supersedable() bool {
	return q.Rejection.Tenant != "" && q.Rejection.Event != "" && q.Status != QuarantineSuperseded
}

// quarantineStatuses are the statuses by their stored numbers, which never change.
var quarantineStatuses = [...]QuarantineStatus{QuarantineOpen, QuarantineSuperseded, QuarantineResolved}

// AppendQuarantineValue appends the value of a quarantined record, which does not have its payload.
func AppendQuarantineValue(b []byte, q *Quarantined) []byte {
	r := &q.Rejection
	var flags byte
	if r.HasDay {
		flags |= 1
	}
	if r.HasCost {
		flags |= 2
	}
	b = append(b, flags, byte(slices.Index(quarantineStatuses[:], q.Status)))
	b = binary.AppendUvarint(b, q.Decision)
	b = AppendInstant(b, billing.Instant(q.ArrivedAt.UnixNano()))
	b = binary.AppendUvarint(b, uint64(q.Size))
	for _, s := range [...]string{string(r.Reason), r.Detail, string(r.Tenant), string(r.Event), string(r.Account)} {
		b = AppendString(b, s)
	}
	if r.HasDay {
		b = binary.AppendVarint(b, int64(r.Day))
	}
	if r.HasCost {
		b = AppendMoney(b, r.Cost)
	}
	return AppendVersion(b, r.Version)
}

// ParseQuarantined reads a quarantined record without its payload.
func ParseQuarantined(key, value []byte) (*Quarantined, error) {
	p, offset, err := ParseSource(key[1:])
	if err != nil {
		return nil, err
	}
	q := &Quarantined{Source: billing.Source{Topic: p.Topic, Partition: p.Partition, Offset: offset}}
	r := &q.Rejection
	f := Decoder{Rest: value}
	flags, status := f.Byte(), f.Byte()
	if int(status) < len(quarantineStatuses) {
		q.Status = quarantineStatuses[status]
	} else {
		f.Bad = true
	}
	q.Decision = f.Uvarint()
	q.ArrivedAt = time.Unix(0, int64(f.Instant())).UTC()
	q.Size = int(f.Uvarint())
	r.Reason, r.Detail = billing.Reason(f.Text()), f.Text()
	r.Tenant, r.Event, r.Account = billing.TenantID(f.Text()), billing.EventID(f.Text()), billing.AccountID(f.Text())
	if r.HasDay = flags&1 != 0; r.HasDay {
		r.Day = billing.Day(f.Varint())
	}
	if r.HasCost = flags&2 != 0; r.HasCost {
		r.Cost = f.Money()
	}
	r.Version = f.Version()
	q.Source.RecordTime = r.Version.Source.RecordTime
	return q, f.Done("quarantined record")
}

// AppendPayloadValue appends a quarantined record's Kafka key, and its value up to MaxPayload.
func AppendPayloadValue(b, key, value []byte) []byte {
	b = AppendString(b, string(key))
	return append(b, value[:min(len(value), MaxPayload)]...)
}

// SetPayload sets q's Key and Value from a payload's value, to whose memory they refer.
func (q *Quarantined) SetPayload(payload []byte) error {
	f := Decoder{Rest: payload}
	q.Key = f.Bytes()
	q.Value, f.Rest = f.Rest, nil
	return f.Done("quarantined payload")
}
