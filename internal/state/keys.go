package state

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"daybook/internal/billing"
)

// The keyspaces: the first byte of every key. Their numbers are stored and
// never change. docs/format-state.md draws each key and value.
const (
	spaceIdentity   byte = 0x01 // → identity
	spaceBase       byte = 0x02 // → journal folded up to a sequence
	spaceJournal    byte = 0x03 // sequence → journal entry
	spaceKept       byte = 0x04 // sequence → journal digest, of checkpoints
	spacePosition   byte = 0x05 // topic, partition → position
	spaceDecision   byte = 0x06 // number → decision
	spaceCovered    byte = 0x07 // tenant → sequence
	spaceTenant     byte = 0x08 // tenant → nothing
	spaceLocator    byte = 0x10 // generation, tenant, event → winner
	spaceRecord     byte = 0x11 // tenant, day, account, event → the winner's content
	spaceMarker     byte = 0x12 // tenant, day, account, kind of change → sequence, wall time
	spaceTie        byte = 0x13 // tenant, day, event → nothing
	spaceAmended    byte = 0x14 // as record → what stands in place of the record there
	spaceQuarantine byte = 0x20 // topic, partition, offset → verdict and status
	spacePayload    byte = 0x21 // topic, partition, offset → Kafka key and value
	spaceByEvent    byte = 0x22 // tenant, event, topic, partition, offset → nothing
	spaceByDay      byte = 0x23 // tenant, day, account, topic, partition, offset → nothing
)

// A string in a key is escaped so that it ends in a 0x00 that no other byte of
// it can be: 0x00, 0x01 and 0x02 become 0x01 and a byte one greater. The order of
// strings is kept, no string's key is the beginning of another's, and none
// begins with keyUUID.
const (
	keyEnd     = 0x00
	keyEscape  = 0x01
	keyEscaped = 0x02 // the greatest byte that is escaped
)

// appendKeyString appends s, escaped and ended.
func appendKeyString(b []byte, s string) []byte {
	for {
		i := 0
		for i < len(s) && s[i] > keyEscaped {
			i++
		}
		b = append(b, s[:i]...)
		if i == len(s) {
			return append(b, keyEnd)
		}
		b = append(b, keyEscape, s[i]+1)
		s = s[i+1:]
	}
}

// keyString reads what appendKeyString wrote. The result refers to key unless
// something was escaped.
func keyString(key []byte) (s, rest []byte, err error) {
	end := bytes.IndexByte(key, keyEnd)
	if end < 0 {
		return nil, nil, fmt.Errorf("%w: key string without end", ErrDamaged)
	}
	s, rest = key[:end], key[end+1:]
	if bytes.IndexByte(s, keyEscape) < 0 {
		return s, rest, nil
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == keyEscape {
			i++
			if i == len(s) || s[i] < 1 || s[i] > keyEscaped+1 {
				return nil, nil, fmt.Errorf("%w: bad escape in key string", ErrDamaged)
			}
			c = s[i] - 1
		}
		out = append(out, c)
	}
	return out, rest, nil
}

// appendKeyDay appends a day so that days before 1970 sort first.
func appendKeyDay(b []byte, d billing.Day) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(d)^1<<31)
}

func keyDay(key []byte) (billing.Day, []byte, error) {
	if len(key) < 4 {
		return 0, nil, fmt.Errorf("%w: key too short for a day", ErrDamaged)
	}
	return billing.Day(binary.BigEndian.Uint32(key) ^ 1<<31), key[4:], nil
}

func appendKeySource(b []byte, p PartitionID, offset int64) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(p.Topic))
	b = binary.BigEndian.AppendUint32(b, uint32(p.Partition))
	return binary.BigEndian.AppendUint64(b, uint64(offset))
}

func keySource(key []byte) (PartitionID, int64, error) {
	if len(key) != 14 {
		return PartitionID{}, 0, fmt.Errorf("%w: key is not a place in the log", ErrDamaged)
	}
	p := PartitionID{
		Topic:     billing.TopicOrdinal(binary.BigEndian.Uint16(key)),
		Partition: int32(binary.BigEndian.Uint32(key[2:])),
	}
	return p, int64(binary.BigEndian.Uint64(key[6:])), nil
}

func sequenceKey(space byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{space}, n)
}

func keySequence(key []byte) (uint64, error) {
	if len(key) != 9 {
		return 0, fmt.Errorf("%w: key is not a sequence", ErrDamaged)
	}
	return binary.BigEndian.Uint64(key[1:]), nil
}

func tenantKey(space byte, t billing.TenantID) []byte {
	return appendKeyString([]byte{space}, string(t))
}

func positionKey(p PartitionID) []byte {
	b := binary.BigEndian.AppendUint16([]byte{spacePosition}, uint16(p.Topic))
	return binary.BigEndian.AppendUint32(b, uint32(p.Partition))
}

// appendEventKey appends a tenant's event: what a locator's key ends in, and what filters know.
func appendEventKey(b []byte, t billing.TenantID, id billing.EventID) []byte {
	return appendKeyEvent(appendKeyString(b, string(t)), id)
}

// locatorHead is how long the part of a locator's key is that does not name the event.
const locatorHead = 3

func appendLocatorKey(b []byte, g generation, t billing.TenantID, id billing.EventID) []byte {
	return appendEventKey(binary.BigEndian.AppendUint16(append(b, spaceLocator), uint16(g)), t, id)
}

// locatorEvent is the event that a locator's key names. buf is scratch that id may refer to.
func locatorEvent(key []byte, buf *[36]byte) (t, id []byte, err error) {
	if len(key) < locatorHead {
		return nil, nil, fmt.Errorf("%w: locator key without generation", ErrDamaged)
	}
	t, rest, err := keyString(key[locatorHead:])
	if err != nil {
		return nil, nil, err
	}
	if id, rest, err = keyEvent(rest, buf); err == nil && len(rest) != 0 {
		err = fmt.Errorf("%w: a locator key with a tail", ErrDamaged)
	}
	return t, id, err
}

// appendDayKey appends the prefix of all keys of one tenant's day.
func appendDayKey(b []byte, space byte, t billing.TenantID, d billing.Day) []byte {
	return appendKeyDay(appendKeyString(append(b, space), string(t)), d)
}

// appendAccountDayKey appends the prefix of all keys of one account-day.
func appendAccountDayKey(b []byte, space byte, a billing.AccountDay) []byte {
	return appendKeyString(appendDayKey(b, space, a.Tenant, a.Day), string(a.Account))
}

func appendRecordKey(b []byte, a billing.AccountDay, id billing.EventID) []byte {
	return appendKeyEvent(appendAccountDayKey(b, spaceRecord, a), id)
}

// appendLocatedKey is appendRecordKey of the event that a locator's key names. at is where its id begins.
func appendLocatedKey(b, locator []byte, a billing.AccountID, d billing.Day) (key []byte, at int) {
	event := locator[locatorHead:]
	tenant := bytes.IndexByte(event, keyEnd) + 1
	b = append(append(b, spaceRecord), event[:tenant]...)
	b = appendKeyString(appendKeyDay(b, d), string(a))
	return append(b, event[tenant:]...), len(b)
}

func appendTieKey(b []byte, t billing.TenantID, d billing.Day, id billing.EventID) []byte {
	return appendKeyEvent(appendDayKey(b, spaceTie, t, d), id)
}

func quarantineKey(space byte, src billing.Source) []byte {
	return appendKeySource([]byte{space}, partitionOf(src), src.Offset)
}

// appendByEventKey appends the prefix of all keys of one event's quarantined records.
func appendByEventKey(b []byte, t billing.TenantID, id billing.EventID) []byte {
	return appendKeyEvent(appendKeyString(append(b, spaceByEvent), string(t)), id)
}

// dayKey is what the keys of record, marker, tie and byDay begin with.
type dayKey struct {
	tenant []byte
	day    billing.Day
	rest   []byte
}

func parseDayKey(key []byte) (k dayKey, err error) {
	if len(key) == 0 {
		return k, fmt.Errorf("%w: empty key", ErrDamaged)
	}
	if k.tenant, k.rest, err = keyString(key[1:]); err != nil {
		return k, err
	}
	k.day, k.rest, err = keyDay(k.rest)
	return k, err
}

// after is the least key greater than all keys that begin with prefix.
func after(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

func partitionOf(src billing.Source) PartitionID {
	return PartitionID{Topic: src.Topic, Partition: src.Partition}
}
