package audit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/big"

	"daybook/internal/billing"
)

// errEntry: a temporary file does not contain what was written.
var errEntry = errors.New("a temporary file is damaged")

// versionKey orders the versions of an event under its id, the greatest first. Versions before the first accepted
// one are not superseded; those after it do not count. An id has no control characters, so a zero byte ends it.
func versionKey(b []byte, e *event) []byte {
	b = append(append(b, e.id...), 0)
	start := len(b)
	s := &e.source
	for _, n := range [...]int64{e.ingestedAt, e.revision, s.RecordTime, int64(s.Topic), int64(s.Partition), s.Offset} {
		b = binary.BigEndian.AppendUint64(b, uint64(n)^1<<63)
	}
	for i := start; i < len(b); i++ {
		b[i] = ^b[i]
	}
	return b
}

// eventOf returns the part of a versionKey that identifies the event.
func eventOf(key []byte) []byte { return key[:bytes.IndexByte(key, 0)] }

// The kinds of postings of an account-day, in the order of the comparison.
const (
	kindWithheld = 'w' // a record in quarantine
	kindEvent    = 'x' // a winner
)

// postingKey orders postings as a release does: by day, account and event.
func postingKey(b []byte, e *event) []byte {
	b = append(b, e.day...)
	for i := range len(e.account) {
		if b = append(b, e.account[i]); e.account[i] == 0 {
			b = append(b, 0xFF)
		}
	}
	b = append(b, 0, 0)
	if e.fault == "" {
		return append(append(b, kindEvent), e.id...)
	}
	b = append(b, kindWithheld)
	b = binary.BigEndian.AppendUint16(b, uint16(e.source.Topic))
	b = binary.BigEndian.AppendUint32(b, uint32(e.source.Partition))
	return binary.BigEndian.AppendUint64(b, uint64(e.source.Offset))
}

// appendEvent appends an event in the format of the temporary files.
func appendEvent(b []byte, e *event) []byte {
	flags := byte(0)
	if e.deleted {
		flags |= 1
	}
	cost := e.cost
	if cost == nil {
		cost = new(big.Int)
	}
	if cost.Sign() < 0 {
		flags |= 2
	}
	b = append(b, flags)
	for _, s := range [...]string{
		e.fault, e.tenant, e.id, e.account, e.day, e.service, e.region, e.pricing, e.category, e.period, e.attributes, string(cost.Bytes()),
	} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	s := &e.source
	for _, n := range [...]int64{e.ingestedAt, e.revision, s.RecordTime, int64(s.Topic), int64(s.Partition), s.Offset} {
		b = binary.AppendVarint(b, n)
	}
	return b
}

// parseEvent parses the result of appendEvent.
func parseEvent(b []byte) (*event, error) {
	if len(b) == 0 {
		return nil, errEntry
	}
	flags := b[0]
	b = b[1:]
	e := &event{deleted: flags&1 != 0}
	var cost string
	for _, s := range [...]*string{
		&e.fault, &e.tenant, &e.id, &e.account, &e.day, &e.service, &e.region, &e.pricing, &e.category, &e.period, &e.attributes, &cost,
	} {
		n, width := binary.Uvarint(b)
		if width <= 0 || n > uint64(len(b)-width) {
			return nil, errEntry
		}
		*s = string(b[width : width+int(n)])
		b = b[width+int(n):]
	}
	if e.cost = new(big.Int).SetBytes([]byte(cost)); flags&2 != 0 {
		e.cost.Neg(e.cost)
	}
	var topic, partition int64
	s := &e.source
	for _, n := range [...]*int64{&e.ingestedAt, &e.revision, &s.RecordTime, &topic, &partition, &s.Offset} {
		v, width := binary.Varint(b)
		if width <= 0 {
			return nil, errEntry
		}
		*n, b = v, b[width:]
	}
	s.Topic, s.Partition = billing.TopicOrdinal(topic), int32(partition)
	return e, nil
}
