package format

import (
	"encoding/binary"
	"slices"
	"time"

	"daybook/internal/billing"
)

// QuarantineStatus says whether a quarantined record still withholds.
type QuarantineStatus string

// The statuses of a quarantined record.
const (
	QuarantineOpen       QuarantineStatus = "open"
	QuarantineSuperseded QuarantineStatus = "superseded" // a greater version of its event was accepted
	QuarantineResolved   QuarantineStatus = "resolved"   // an operator decided
)

// Quarantined is a record that could not be an event.
type Quarantined struct {
	Source    billing.Source
	Rejection billing.Rejection
	Status    QuarantineStatus
	Decision  uint64 // of a resolved one
	ArrivedAt time.Time
	Size      int
	Key       []byte
	Value     []byte // nil unless asked for; cut at 1 MiB (Size tells)
}

// MaxPayload bounds what is kept of a quarantined record's value.
const MaxPayload = 1 << 20

// Cut reports that not all of the record's value was kept.
func (q *Quarantined) Cut() bool { return q.Size > MaxPayload }

// AccountDay is the account-day that the record names, if it names one.
func (q *Quarantined) AccountDay() (billing.AccountDay, bool) { return NamedAccountDay(&q.Rejection) }

func NamedAccountDay(r *billing.Rejection) (billing.AccountDay, bool) {
	a := billing.AccountDay{Tenant: r.Tenant, Account: r.Account, Day: r.Day}
	return a, r.Tenant != "" && r.Account != "" && r.HasDay
}

// Withholds reports that the record makes its account-day incomplete.
func (q *Quarantined) Withholds() bool {
	_, ok := q.AccountDay()
	return ok && q.Status == QuarantineOpen
}

// Supersedable reports that a greater version of its event would supersede the record.
func (q *Quarantined) Supersedable() bool {
	return q.Rejection.Tenant != "" && q.Rejection.Event != "" && q.Status != QuarantineSuperseded
}

var quarantineStatuses = [...]QuarantineStatus{QuarantineOpen, QuarantineSuperseded, QuarantineResolved}

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

func AppendPayloadValue(b, key, value []byte) []byte {
	b = AppendString(b, string(key))
	return append(b, value[:min(len(value), MaxPayload)]...)
}

// SetPayload gives q the key and value that were kept; they refer to payload's memory.
func (q *Quarantined) SetPayload(payload []byte) error {
	f := Decoder{Rest: payload}
	q.Key = f.Bytes()
	q.Value, f.Rest = f.Rest, nil
	return f.Done("quarantined payload")
}
