// Package decode judges the bytes of one Kafka record: an event, or a named
// rejection. It is the only package that knows how an event is written.
//
// It is pure: no I/O, no clock, no state between records. The verdict depends
// on the record and the rules alone.
package decode

import "daybook/internal/billing"

// Record is one Kafka record, as far as a verdict depends on it.
type Record struct {
	// Topic is the topic's name, for bindings.
	Topic  string
	Source billing.Source
	// Null is set for a record without a value (a tombstone).
	Null  bool
	Value []byte
}

// Decoder judges records by fixed rules. It is not safe for concurrent use;
// make one per goroutine.
type Decoder struct{ rules billing.Rules }

// New makes a decoder. The rules must be valid.
func New(rules billing.Rules) *Decoder { panic("not built yet") }

// Decode fills e and returns nil, or returns why the record cannot be an
// event. rounded reports that cost_usd had more than 18 decimal places. The
// event does not refer to rec.Value afterwards.
func (d *Decoder) Decode(rec Record, e *billing.Event) (rounded bool, rej *billing.Rejection) {
	panic("not built yet")
}
