// Package decode turns the bytes of one Kafka record into an event, or into a rejection with a named reason. It
// is the only package that knows how an event is written.
//
// It owns the JSON of an event and the order of the checks (billing.Reasons). It does not own which version of
// an event wins: dedup does. It is pure: no I/O, no clock. The verdict depends on the record and the rules
// alone. A Decoder is for one goroutine.
//
// Plain records, which are nearly all, are read by scanPlain; all others by go-json-experiment's jsontext,
// which is strict about duplicate keys, UTF-8 and numbers. Both give the same verdict.
package decode

import (
	"bytes"
	"time"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"

	"daybook/internal/billing"
)

// MaxDepth is how deep objects and arrays may nest. The event itself has depth 1.
const MaxDepth = 64

// Record is what the verdict on a Kafka record depends on.
type Record struct {
	// Topic is the topic's name; rules may bind it to a tenant.
	Topic  string
	Source billing.Source
	// Null means that the record has no value (a tombstone).
	Null  bool
	Value []byte
}

// Decoder judges records by fixed rules. It reuses its memory from record to record, at most what the largest
// of them needs. It is not safe for concurrent use.
type Decoder struct {
	rules billing.Rules
	lends bool
	// noFastPath makes the library read all records. Tests set it.
	noFastPath bool

	json   jsontext.Decoder
	input  bytes.Buffer
	plain  bool // scanPlain read the record
	raw    members
	extra  []extra
	names  [][]byte // names of the nested objects that scanPlain is in
	buffer []byte   // unescaped text, valid until the next record
	text   []byte   // the accepted event's strings, one after the other
}

// New makes a decoder whose events own their text. The rules must be valid.
func New(rules billing.Rules) *Decoder { return &Decoder{rules: rules} }

// Lending makes a decoder whose events share its memory: the next call of Decode overwrites their text. It
// allocates nothing for an event, which the caller must encode or copy before that call. The rules must be
// valid.
func Lending(rules billing.Rules) *Decoder { return &Decoder{rules: rules, lends: true} }

// Decode fills e and returns nil, or returns why the record is no event and leaves e unchanged. rounded reports
// that cost_usd had digits other than zero after the 18th decimal place. The event does not refer to rec.Value;
// its strings share one allocation, or the decoder's memory if that is lent.
//
// A record with several faults is rejected for the first in the order of billing.Reasons; of several faults of
// JSON, for the first in the text. The rejection contains every field that could be read.
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
	j.judgeFields()
	if j.rejection != nil {
		return false, j.reject()
	}
	j.accept(e)
	return j.rounded, nil
}

// judge makes the verdict on one record. Its fields are set if they could be read. Text points into the record
// or the decoder's buffer.
type judge struct {
	d   *Decoder
	rec Record
	// rejection is the first fault; nil while there is none.
	rejection *billing.Rejection
	// whole means that the object was read to its end: a member that was not read is absent.
	whole bool
	// salvaging means that the JSON has a fault: text may be invalid UTF-8.
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

// fail sets the rejection, unless an earlier check has set it.
func (j *judge) fail(reason billing.Reason, detail string) {
	if j.rejection == nil {
		j.rejection = &billing.Rejection{Reason: reason, Detail: detail}
	}
}

// reject returns the rejection with the fields that could be read.
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

// accept fills e. Its fields are parts of one string.
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

// all returns the accepted event's strings as one.
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

// take removes the first n bytes of s and returns them.
func take(s *string, n int) string {
	head := (*s)[:n]
	*s = (*s)[n:]
	return head
}

// instantOfMillis converts a record's timestamp. ok is false if the record has none (-1) or if it is outside
// the range of Instant.
func instantOfMillis(ms int64) (billing.Instant, bool) {
	return billing.InstantOf(time.UnixMilli(ms))
}
