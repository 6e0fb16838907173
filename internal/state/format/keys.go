package format

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"daybook/internal/billing"
)

// The keyspaces: the first byte of every key. Their numbers are stored and never change. docs/format-state.md draws
// each key and value. Space names the rows, → what their value says.
const (
	SpaceIdentity   byte = 0x01 // → Identity
	SpaceBase       byte = 0x02 // → Journal, folded up to a sequence
	SpaceJournal    byte = 0x03 // sequence → Entry
	SpaceKeptDigest byte = 0x04 // sequence → the journal's digest there, for each checkpoint
	SpacePosition   byte = 0x05 // topic, partition → Position
	SpaceDecision   byte = 0x06 // number → Decision
	SpaceCovered    byte = 0x07 // tenant → the sequence that its newest release covers
	SpaceTenant     byte = 0x08 // tenant → nothing
	SpaceLocator    byte = 0x10 // generation, tenant, event → where the winner's record is
	SpaceRecord     byte = 0x11 // tenant, day, account, event → the winner's content
	SpaceMarker     byte = 0x12 // tenant, day, account, kind of change → sequence, wall time
	SpaceTie        byte = 0x13 // tenant, day, event → nothing
	SpaceOverlay    byte = 0x14 // as a record's → content that replaces the record's
	SpaceQuarantine byte = 0x20 // topic, partition, offset → Quarantined without payload
	SpacePayload    byte = 0x21 // topic, partition, offset → Kafka key and value
	SpaceByEvent    byte = 0x22 // tenant, event, topic, partition, offset → nothing
	SpaceByDay      byte = 0x23 // tenant, day, account, topic, partition, offset → nothing
)

// A string in a key ends with 0x00, and its bytes 0x00, 0x01 and 0x02 are escaped as 0x01 and a byte one greater.
// So keys are in the order of their strings, no string's key is a prefix of another's, and none begins with
// UUIDTag.
const (
	keyEnd     = 0x00
	keyEscape  = 0x01
	keyEscaped = 0x02 // the greatest byte that is escaped
)

// AppendKeyString appends s, escaped, and its end.
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

// CutKeyString reads a string that AppendKeyString wrote. The result refers to key, unless a byte was escaped.
func CutKeyString(key []byte) (s, rest []byte, err error) {
	end := bytes.IndexByte(key, keyEnd)
	if end < 0 {
		return nil, nil, fmt.Errorf("%w: string in a key has no end", ErrDamaged)
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
				return nil, nil, fmt.Errorf("%w: string in a key has an unknown escape", ErrDamaged)
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
		return 0, nil, fmt.Errorf("%w: key is too short for a day", ErrDamaged)
	}
	return billing.Day(binary.BigEndian.Uint32(key) ^ 1<<31), key[4:], nil
}

// AppendSource appends a record's place in the log: partition and offset.
func AppendSource(b []byte, p PartitionID, offset int64) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(p.Topic))
	b = binary.BigEndian.AppendUint32(b, uint32(p.Partition))
	return binary.BigEndian.AppendUint64(b, uint64(offset))
}

// ParseSource reads what AppendSource wrote, and nothing after it.
func ParseSource(key []byte) (PartitionID, int64, error) {
	if len(key) != 14 {
		return PartitionID{}, 0, fmt.Errorf("%w: place in the log has not 14 bytes", ErrDamaged)
	}
	p := PartitionID{
		Topic:     billing.TopicOrdinal(binary.BigEndian.Uint16(key)),
		Partition: int32(binary.BigEndian.Uint32(key[2:])),
	}
	return p, int64(binary.BigEndian.Uint64(key[6:])), nil
}

// SequenceKey is the key of row n of a keyspace that is numbered: SpaceJournal, SpaceKeptDigest, SpaceDecision.
func SequenceKey(space byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{space}, n)
}

// ParseSequenceKey is the number in a SequenceKey.
func ParseSequenceKey(key []byte) (uint64, error) {
	if len(key) != 9 {
		return 0, fmt.Errorf("%w: numbered key has not 9 bytes", ErrDamaged)
	}
	return binary.BigEndian.Uint64(key[1:]), nil
}

// TenantKey is the key of a tenant in SpaceTenant and SpaceCovered, and the prefix of its keys in others.
func TenantKey(space byte, t billing.TenantID) []byte {
	return AppendKeyString([]byte{space}, string(t))
}

// PositionKey is the key of a partition's position.
func PositionKey(p PartitionID) []byte {
	b := binary.BigEndian.AppendUint16([]byte{SpacePosition}, uint16(p.Topic))
	return binary.BigEndian.AppendUint32(b, uint32(p.Partition))
}

// AppendEventKey appends tenant and event: the end of a locator's key, and what membership filters hash.
func AppendEventKey(b []byte, t billing.TenantID, id billing.EventID) []byte {
	return AppendEventID(AppendKeyString(b, string(t)), id)
}

// LocatorHeader is the length of a locator's key before tenant and event: keyspace and generation.
const LocatorHeader = 3

// AppendLocatorKey appends the key of an event's locator.
func AppendLocatorKey(b []byte, g Generation, t billing.TenantID, id billing.EventID) []byte {
	return AppendEventKey(binary.BigEndian.AppendUint16(append(b, SpaceLocator), uint16(g)), t, id)
}

// ParseLocatorKey is the event that a locator's key names. t and id refer to key or to buf.
func ParseLocatorKey(key []byte, buf *[36]byte) (t, id []byte, err error) {
	if len(key) < LocatorHeader {
		return nil, nil, fmt.Errorf("%w: locator key is too short for a generation", ErrDamaged)
	}
	t, rest, err := CutKeyString(key[LocatorHeader:])
	if err != nil {
		return nil, nil, err
	}
	if id, rest, err = CutEventID(rest, buf); err == nil && len(rest) != 0 {
		err = fmt.Errorf("%w: locator key has bytes after the event", ErrDamaged)
	}
	return t, id, err
}

// AppendDayPrefix appends the prefix of all keys of a tenant's day.
func AppendDayPrefix(b []byte, space byte, t billing.TenantID, d billing.Day) []byte {
	return appendKeyDay(AppendKeyString(append(b, space), string(t)), d)
}

// AppendAccountDayPrefix appends the prefix of all keys of an account-day.
func AppendAccountDayPrefix(b []byte, space byte, a billing.AccountDay) []byte {
	return AppendKeyString(AppendDayPrefix(b, space, a.Tenant, a.Day), string(a.Account))
}

// AppendRecordKey appends the key of an event's record.
func AppendRecordKey(b []byte, a billing.AccountDay, id billing.EventID) []byte {
	return AppendEventID(AppendAccountDayPrefix(b, SpaceRecord, a), id)
}

// AppendRecordKeyOfLocator appends the record key of the event that a locator's key names, without escaping tenant
// and id again. The account-day's prefix ends at idAt.
func AppendRecordKeyOfLocator(b, locator []byte, a billing.AccountID, d billing.Day) (key []byte, idAt int) {
	event := locator[LocatorHeader:]
	tenant := bytes.IndexByte(event, keyEnd) + 1
	b = append(append(b, SpaceRecord), event[:tenant]...)
	b = AppendKeyString(appendKeyDay(b, d), string(a))
	return append(b, event[tenant:]...), len(b)
}

// AppendTieKey appends the key that says that an event's winner is tied.
func AppendTieKey(b []byte, t billing.TenantID, d billing.Day, id billing.EventID) []byte {
	return AppendEventID(AppendDayPrefix(b, SpaceTie, t, d), id)
}

// AppendTieKeyOfLocator appends the tie key of the event that a locator's key names.
func AppendTieKeyOfLocator(b, locator []byte, d billing.Day) []byte {
	event := locator[LocatorHeader:]
	tenant := bytes.IndexByte(event, keyEnd) + 1
	b = append(append(b, SpaceTie), event[:tenant]...)
	return append(appendKeyDay(b, d), event[tenant:]...)
}

// QuarantineKey is the key of a record in SpaceQuarantine or SpacePayload.
func QuarantineKey(space byte, src billing.Source) []byte {
	return AppendSource([]byte{space}, PartitionOf(src), src.Offset)
}

// AppendByEventPrefix appends the prefix of the index keys of an event's quarantined records. A place follows.
func AppendByEventPrefix(b []byte, t billing.TenantID, id billing.EventID) []byte {
	return AppendEventID(AppendKeyString(append(b, SpaceByEvent), string(t)), id)
}

// DayKey is a key of SpaceRecord, SpaceOverlay, SpaceMarker, SpaceTie or SpaceByDay. Its parts refer to the key,
// unless a byte of the tenant was escaped.
type DayKey struct {
	Tenant []byte
	Day    billing.Day
	Rest   []byte // after the day
}

// ParseDayKey reads tenant and day of a key. What follows them is left in Rest.
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

// PrefixEnd is the least key that is greater than all keys with a prefix; nil if there is none.
func PrefixEnd(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// PartitionOf is the partition of a record's place.
func PartitionOf(src billing.Source) PartitionID {
	return PartitionID{Topic: src.Topic, Partition: src.Partition}
}

// AppendCoveredValue appends the sequence that a tenant's newest release covers.
func AppendCoveredValue(b []byte, seq Sequence) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(seq))
}

// ParseCovered reads what AppendCoveredValue wrote.
func ParseCovered(value []byte) (Sequence, error) {
	if len(value) != 8 {
		return 0, fmt.Errorf("%w: covered sequence has not 8 bytes", ErrDamaged)
	}
	return Sequence(binary.BigEndian.Uint64(value)), nil
}
