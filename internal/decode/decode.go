// Package decode judges the bytes of one Kafka record: an event, or a named
// rejection. It is the only package that knows how an event is written.
//
// It owns the JSON of an event and the order of the checks (billing.Reasons).
// It does not own what comes of the event: dedup does. It is pure: no I/O, no
// clock, no state between records. The verdict depends on the record and the
// rules alone.
package decode

import (
	"bytes"
	"time"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"

	"daybook/internal/billing"
)

// MaxDepth is how deep objects and arrays may nest; the event itself is 1.
const MaxDepth = 64

// Record is one Kafka record, as far as a verdict depends on it.
type Record struct {
	// Topic is the topic's name, for bindings.
	Topic  string
	Source billing.Source
	// Null is set for a record without a value (a tombstone).
	Null  bool
	Value []byte
}

// Decoder judges records by fixed rules. It keeps memory between records, no
// more than the largest record needs. It is not safe for concurrent use; make
// one per goroutine.
type Decoder struct {
	rules billing.Rules
	lends bool
	// noFastPath leaves all records to the library. Tests set it.
	noFastPath bool

	json   jsontext.Decoder
	input  bytes.Buffer
	plain  bool // scanPlain has read the record
	raw    members
	extra  []extra
	names  [][]byte // of the objects that scanPlain is inside of
	buffer []byte   // unescaped text, valid until the next record
	text   []byte   // all text of the accepted event
}

// New makes a decoder. The rules must be valid.
func New(rules billing.Rules) *Decoder { return &Decoder{rules: rules} }

// Lending makes a decoder that only lends an event's text: it is overwritten by the next record. So
// nothing is allocated for an event that is encoded at once.
func Lending(rules billing.Rules) *Decoder { return &Decoder{rules: rules, lends: true} }

// Decode fills e and returns nil, or returns why the record cannot be an
// event and leaves e alone. rounded reports that cost_usd had digits beyond
// the 18th place that were not zero. The event does not refer to rec.Value
// afterwards; its strings share one allocation, or the decoder's memory if it lends it.
//
// A record with several faults is rejected for the first in the order of
// billing.Reasons; among the faults of JSON, for the first in reading order.
// Whatever is readable beside the fault is in the rejection.
func (d *Decoder) Decode(rec Record, e *billing.Event) (rounded bool, rej *billing.Rejection) {
	j := judge{d: d, rec: rec, tenant: d.rules.Bindings[rec.Topic]}
	j.bound = j.tenant != ""
	switch {
	case rec.Null:
		j.fail(billing.RecordNull, "a deletion is an event with \"op\": \"delete\"")
		d.clear()
	default:
		if len(rec.Value) > d.rules.MaxRecordBytes {
			j.failf(billing.RecordTooLarge, "%d bytes, the limit is %d", len(rec.Value), d.rules.MaxRecordBytes)
		}
		j.whole = d.read(rec.Value, &j)
	}
	j.fields()
	if j.rejection != nil {
		return false, j.reject()
	}
	j.accept(e)
	return j.rounded, nil
}

// judge is the verdict on one record as it is made. Its values are those that
// were readable; text points into the record or the decoder's buffer.
type judge struct {
	d   *Decoder
	rec Record
	// rejection is the first fault; nil while there is none.
	rejection *billing.Rejection
	// whole says that the object was read to its end, so that a member that
	// was not seen is absent and not merely unread.
	whole bool
	// salvaging says that the JSON has a fault: text may be invalid UTF-8.
	salvaging bool

	bound      bool // the topic belongs to one tenant
	tenant     billing.TenantID
	tenantText []byte
	id         []byte
	op         billing.Op
	recordTime billing.Instant
	timed      bool // recordTime is set
	ingestedAt billing.Instant
	ingested   bool // ingestedAt is set
	revision   int64
	account    []byte
	service    []byte
	day        billing.Day
	dated      bool // day is set
	cost       billing.Money
	priced     bool // cost is set
	rounded    bool
	category   billing.Category
	period     []byte
	region     []byte
	pricing    []byte
}

// fail notes a fault, unless an earlier check found one.
func (j *judge) fail(reason billing.Reason, detail string) {
	if j.rejection == nil {
		j.rejection = &billing.Rejection{Reason: reason, Detail: detail}
	}
}

// reject completes the rejection with what was readable.
func (j *judge) reject() *billing.Rejection {
	r := j.rejection
	r.Tenant = j.tenant
	if j.tenantText != nil {
		r.Tenant = billing.TenantID(j.tenantText)
	}
	r.Event = billing.EventID(j.id)
	r.Account = billing.AccountID(j.account)
	r.Day, r.HasDay = j.day, j.dated
	r.Cost, r.HasCost = j.cost, j.priced
	r.Version = j.version()
	return r
}

// accept fills e. All text goes into one string, which its fields share.
func (j *judge) accept(e *billing.Event) {
	*e = billing.Event{Tenant: j.tenant, Op: j.op, Version: j.version()}
	d := j.d
	if j.op == billing.Delete {
		d.text = append(append(d.text[:0], j.tenantText...), j.id...)
		all := d.all()
		if j.tenantText != nil {
			e.Tenant = billing.TenantID(take(&all, len(j.tenantText)))
		}
		e.ID = billing.EventID(all)
		return
	}
	e.Day, e.Cost, e.Category = j.day, j.cost, j.category
	d.text = d.text[:0]
	for _, part := range [...][]byte{j.tenantText, j.id, j.account, j.service, j.region, j.pricing, j.period} {
		d.text = append(d.text, part...)
	}
	d.text = d.appendAttributes(d.text)
	all := d.all()
	if j.tenantText != nil {
		e.Tenant = billing.TenantID(take(&all, len(j.tenantText)))
	}
	e.ID = billing.EventID(take(&all, len(j.id)))
	e.Account = billing.AccountID(take(&all, len(j.account)))
	e.Service = billing.ServiceName(take(&all, len(j.service)))
	e.Region = billing.Region(take(&all, len(j.region)))
	e.PricingModel = billing.PricingModel(take(&all, len(j.pricing)))
	e.Period = billing.Period(take(&all, len(j.period)))
	e.Attributes = all
}

// all is the text of the accepted event.
func (d *Decoder) all() string {
	if d.lends {
		return unsafe.String(unsafe.SliceData(d.text), len(d.text))
	}
	return string(d.text)
}

func (j *judge) version() billing.Version {
	at := j.recordTime // 0 where the record has none
	if j.ingested {
		at = j.ingestedAt
	}
	return billing.Version{IngestedAt: at, SourceRevision: j.revision, Source: j.rec.Source}
}

// take cuts the first n bytes off s.
func take(s *string, n int) string {
	head := (*s)[:n]
	*s = (*s)[n:]
	return head
}

// instantOfMillis is a record's timestamp. ok is false where the record has
// none (-1), or one that an Instant does not hold.
func instantOfMillis(ms int64) (billing.Instant, bool) {
	return billing.InstantOf(time.UnixMilli(ms))
}
