package state

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

// maxPayload bounds what is kept of a quarantined record's value.
const maxPayload = 1 << 20

// Cut reports that not all of the record's value was kept.
func (q *Quarantined) Cut() bool { return q.Size > maxPayload }

// AccountDay is the account-day that the record names, if it names one.
func (q *Quarantined) AccountDay() (billing.AccountDay, bool) { return named(&q.Rejection) }

func named(r *billing.Rejection) (billing.AccountDay, bool) {
	a := billing.AccountDay{Tenant: r.Tenant, Account: r.Account, Day: r.Day}
	return a, r.Tenant != "" && r.Account != "" && r.HasDay
}

// withholds reports that the record makes its account-day incomplete.
func (q *Quarantined) withholds() bool {
	_, ok := q.AccountDay()
	return ok && q.Status == QuarantineOpen
}

// supersedable reports that a greater version of its event would supersede the record.
func (q *Quarantined) supersedable() bool {
	return q.Rejection.Tenant != "" && q.Rejection.Event != "" && q.Status != QuarantineSuperseded
}

var quarantineStatuses = [...]QuarantineStatus{QuarantineOpen, QuarantineSuperseded, QuarantineResolved}

func appendQuarantined(b []byte, q *Quarantined) []byte {
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
	b = appendInstant(b, billing.Instant(q.ArrivedAt.UnixNano()))
	b = binary.AppendUvarint(b, uint64(q.Size))
	for _, s := range [...]string{string(r.Reason), r.Detail, string(r.Tenant), string(r.Event), string(r.Account)} {
		b = appendString(b, s)
	}
	if r.HasDay {
		b = binary.AppendVarint(b, int64(r.Day))
	}
	if r.HasCost {
		b = appendMoney(b, r.Cost)
	}
	return appendVersion(b, r.Version)
}

func parseQuarantined(key, value []byte) (*Quarantined, error) {
	p, offset, err := keySource(key[1:])
	if err != nil {
		return nil, err
	}
	q := &Quarantined{Source: billing.Source{Topic: p.Topic, Partition: p.Partition, Offset: offset}}
	r := &q.Rejection
	f := fields{b: value}
	flags, status := f.byte(), f.byte()
	if int(status) < len(quarantineStatuses) {
		q.Status = quarantineStatuses[status]
	} else {
		f.bad = true
	}
	q.Decision = f.uvarint()
	q.ArrivedAt = time.Unix(0, int64(f.instant())).UTC()
	q.Size = int(f.uvarint())
	r.Reason, r.Detail = billing.Reason(f.string()), f.string()
	r.Tenant, r.Event, r.Account = billing.TenantID(f.string()), billing.EventID(f.string()), billing.AccountID(f.string())
	if r.HasDay = flags&1 != 0; r.HasDay {
		r.Day = billing.Day(f.varint())
	}
	if r.HasCost = flags&2 != 0; r.HasCost {
		r.Cost = f.money()
	}
	r.Version = f.version()
	q.Source.RecordTime = r.Version.Source.RecordTime
	return q, f.done("quarantined record")
}

func appendPayload(b, key, value []byte) []byte {
	b = appendString(b, string(key))
	return append(b, value[:min(len(value), maxPayload)]...)
}

// setPayload gives q the key and value that were kept; they refer to payload's memory.
func (q *Quarantined) setPayload(payload []byte) error {
	f := fields{b: payload}
	q.Key = f.bytes()
	q.Value, f.b = f.b, nil
	return f.done("quarantined payload")
}
