package format

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"daybook/internal/billing"
)

// The keyspaces: the first byte of every key. Their numbers are stored and
// never change. docs/format-state.md draws each key and value.
const (
	SpaceIdentity   byte = 0x01 // → identity
	SpaceBase       byte = 0x02 // → journal folded up to a sequence
	SpaceJournal    byte = 0x03 // sequence → journal entry
	SpaceKeptDigest byte = 0x04 // sequence → journal digest, of checkpoints
	SpacePosition   byte = 0x05 // topic, partition → position
	SpaceDecision   byte = 0x06 // number → decision
	SpaceCovered    byte = 0x07 // tenant → sequence
	SpaceTenant     byte = 0x08 // tenant → nothing
	SpaceLocator    byte = 0x10 // generation, tenant, event → winner
	SpaceRecord     byte = 0x11 // tenant, day, account, event → the winner's content
	SpaceMarker     byte = 0x12 // tenant, day, account, kind of change → sequence, wall time
	SpaceTie        byte = 0x13 // tenant, day, event → nothing
	SpaceOverlay    byte = 0x14 // as record → what stands in place of the record there
	SpaceQuarantine byte = 0x20 // topic, partition, offset → verdict and status
	SpacePayload    byte = 0x21 // topic, partition, offset → Kafka key and value
	SpaceByEvent    byte = 0x22 // tenant, event, topic, partition, offset → nothing
	SpaceByDay      byte = 0x23 // tenant, day, account, topic, partition, offset → nothing
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

// AppendKeyString appends s, escaped and ended.
func AppendKeyString(b []byte, s string) []byte {
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

// CutKeyString reads what appendKeyString wrote. The result refers to key unless
// something was escaped.
func CutKeyString(key []byte) (s, rest []byte, err error) {
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

func AppendSource(b []byte, p PartitionID, offset int64) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(p.Topic))
	b = binary.BigEndian.AppendUint32(b, uint32(p.Partition))
	return binary.BigEndian.AppendUint64(b, uint64(offset))
}

func ParseSource(key []byte) (PartitionID, int64, error) {
	if len(key) != 14 {
		return PartitionID{}, 0, fmt.Errorf("%w: key is not a place in the log", ErrDamaged)
	}
	p := PartitionID{
		Topic:     billing.TopicOrdinal(binary.BigEndian.Uint16(key)),
		Partition: int32(binary.BigEndian.Uint32(key[2:])),
	}
	return p, int64(binary.BigEndian.Uint64(key[6:])), nil
}

func SequenceKey(space byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{space}, n)
}

func ParseSequenceKey(key []byte) (uint64, error) {
	if len(key) != 9 {
		return 0, fmt.Errorf("%w: key is not a sequence", ErrDamaged)
	}
	return binary.BigEndian.Uint64(key[1:]), nil
}

func TenantKey(space byte, t billing.TenantID) []byte {
	return AppendKeyString([]byte{space}, string(t))
}

func PositionKey(p PartitionID) []byte {
	b := binary.BigEndian.AppendUint16([]byte{SpacePosition}, uint16(p.Topic))
	return binary.BigEndian.AppendUint32(b, uint32(p.Partition))
}

// AppendEventKey appends a tenant's event: what a locator's key ends in, and what filters know.
func AppendEventKey(b []byte, t billing.TenantID, id billing.EventID) []byte {
	return AppendEventID(AppendKeyString(b, string(t)), id)
}

// LocatorHeader is how long the part of a locator's key is that does not name the event.
const LocatorHeader = 3

func AppendLocatorKey(b []byte, g Generation, t billing.TenantID, id billing.EventID) []byte {
	return AppendEventKey(binary.BigEndian.AppendUint16(append(b, SpaceLocator), uint16(g)), t, id)
}

// ParseLocatorKey is the event that a locator's key names. buf is scratch that id may refer to.
func ParseLocatorKey(key []byte, buf *[36]byte) (t, id []byte, err error) {
	if len(key) < LocatorHeader {
		return nil, nil, fmt.Errorf("%w: locator key without generation", ErrDamaged)
	}
	t, rest, err := CutKeyString(key[LocatorHeader:])
	if err != nil {
		return nil, nil, err
	}
	if id, rest, err = CutEventID(rest, buf); err == nil && len(rest) != 0 {
		err = fmt.Errorf("%w: a locator key with a tail", ErrDamaged)
	}
	return t, id, err
}

// AppendDayPrefix appends the prefix of all keys of one tenant's day.
func AppendDayPrefix(b []byte, space byte, t billing.TenantID, d billing.Day) []byte {
	return appendKeyDay(AppendKeyString(append(b, space), string(t)), d)
}

// AppendAccountDayPrefix appends the prefix of all keys of one account-day.
func AppendAccountDayPrefix(b []byte, space byte, a billing.AccountDay) []byte {
	return AppendKeyString(AppendDayPrefix(b, space, a.Tenant, a.Day), string(a.Account))
}

func AppendRecordKey(b []byte, a billing.AccountDay, id billing.EventID) []byte {
	return AppendEventID(AppendAccountDayPrefix(b, SpaceRecord, a), id)
}

// AppendRecordKeyOfLocator is appendRecordKey of the event that a locator's key names. at is where its id begins.
func AppendRecordKeyOfLocator(b, locator []byte, a billing.AccountID, d billing.Day) (key []byte, at int) {
	event := locator[LocatorHeader:]
	tenant := bytes.IndexByte(event, keyEnd) + 1
	b = append(append(b, SpaceRecord), event[:tenant]...)
	b = AppendKeyString(appendKeyDay(b, d), string(a))
	return append(b, event[tenant:]...), len(b)
}

func AppendTieKey(b []byte, t billing.TenantID, d billing.Day, id billing.EventID) []byte {
	return AppendEventID(AppendDayPrefix(b, SpaceTie, t, d), id)
}

// AppendTieKeyOfLocator is AppendTieKey of the event that a locator's key names.
func AppendTieKeyOfLocator(b, locator []byte, d billing.Day) []byte {
	event := locator[LocatorHeader:]
	tenant := bytes.IndexByte(event, keyEnd) + 1
	b = append(append(b, SpaceTie), event[:tenant]...)
	return append(appendKeyDay(b, d), event[tenant:]...)
}

func QuarantineKey(space byte, src billing.Source) []byte {
	return AppendSource([]byte{space}, PartitionOf(src), src.Offset)
}

// AppendByEventPrefix appends the prefix of all keys of one event's quarantined records.
func AppendByEventPrefix(b []byte, t billing.TenantID, id billing.EventID) []byte {
	return AppendEventID(AppendKeyString(append(b, SpaceByEvent), string(t)), id)
}

// DayKey is what the keys of record, marker, tie and byDay begin with.
type DayKey struct {
	Tenant []byte
	Day    billing.Day
	Rest   []byte
}

func ParseDayKey(key []byte) (k DayKey, err error) {
	if len(key) == 0 {
		return k, fmt.Errorf("%w: empty key", ErrDamaged)
	}
	if k.Tenant, k.Rest, err = CutKeyString(key[1:]); err != nil {
		return k, err
	}
	k.Day, k.Rest, err = keyDay(k.Rest)
	return k, err
}

// PrefixEnd is the least key greater than all keys that begin with prefix.
func PrefixEnd(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

func PartitionOf(src billing.Source) PartitionID {
	return PartitionID{Topic: src.Topic, Partition: src.Partition}
}

// AppendCoveredValue appends the value that says up to which write a tenant's newest release covers.
func AppendCoveredValue(b []byte, seq Sequence) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(seq))
}

// ParseCovered reads what appendCovered wrote.
func ParseCovered(value []byte) (Sequence, error) {
	if len(value) != 8 {
		return 0, fmt.Errorf("%w: unreadable covered sequence", ErrDamaged)
	}
	return Sequence(binary.BigEndian.Uint64(value)), nil
}

// AppendOverlayKey is appendRecordKey for an amended record.
func AppendOverlayKey(b []byte, a billing.AccountDay, id billing.EventID) []byte {
	at := len(b)
	b = AppendRecordKey(b, a, id)
	b[at] = SpaceOverlay
	return b
}
