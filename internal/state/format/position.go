package format

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"daybook/internal/billing"
	"daybook/internal/clock"
)

// PartitionID identifies a Kafka partition among those of a state.
type PartitionID struct {
	Topic     billing.TopicOrdinal
	Partition int32
}

// Position says how far a partition was read, and counts what was read of it.
type Position struct {
	Partition   PartitionID
	FirstOffset int64 // where the log began when the state first read it
	NextOffset  int64 // the next to read
	LeaderEpoch int32
	// CaughtUpAt is up to when everything in the partition is known to be read, by the clock of the ingest that
	// found out; zero: never. CaughtUpBy says whether that still counts.
	CaughtUpAt     time.Time
	CaughtUpBoot   clock.BootID  // of that clock at that moment
	CaughtUpUptime time.Duration // of that clock at that moment

	Delivered int64 // records
	Control   int64 // control records of transactions
	Holes     int64 // offsets that have no record
	Gaps      int64 // offsets skipped by decisions that accepted a gap
	// HolesExplained is set once the topic was seen to be transactional or compacted.
	HolesExplained bool
	Outcomes       [billing.OutcomeCount]int64
	LastOffset     int64          // -1: none
	LastDigest     billing.Digest // SHA-256, 16 bytes, of the record at LastOffset
}

// Compare orders by topic and partition.
func (p PartitionID) Compare(q PartitionID) int {
	return cmp.Or(cmp.Compare(p.Topic, q.Topic), cmp.Compare(p.Partition, q.Partition))
}

// SortedPartitions are the keys of m, ascending.
func SortedPartitions[V any](m map[PartitionID]V) []PartitionID {
	return slices.SortedFunc(maps.Keys(m), PartitionID.Compare)
}

// Conserved checks the conservation law: every offset between FirstOffset and NextOffset is accounted for, and
// every delivered record has one outcome. Its error is not ErrDamaged: the caller knows whether the position was
// read or is to be written.
func (p *Position) Conserved() error {
	var outcomes int64
	for _, n := range p.Outcomes {
		outcomes += n
	}
	switch {
	case p.NextOffset-p.FirstOffset != p.Delivered+p.Control+p.Holes+p.Gaps:
		return fmt.Errorf("partition %d of topic %d: offsets %d to %d are not the sum of %d delivered, %d control, %d holes and %d accepted as a gap",
			p.Partition.Partition, p.Partition.Topic, p.FirstOffset, p.NextOffset, p.Delivered, p.Control, p.Holes, p.Gaps)
	case p.Delivered != outcomes:
		return fmt.Errorf("partition %d of topic %d: %d records delivered, %d outcomes", p.Partition.Partition, p.Partition.Topic, p.Delivered, outcomes)
	case p.Holes != 0 && !p.HolesExplained:
		return fmt.Errorf("partition %d of topic %d: %d offsets missing in a topic that is neither transactional nor compacted",
			p.Partition.Partition, p.Partition.Topic, p.Holes)
	}
	return nil
}

// AppendPositionValue appends the value of a position.
func AppendPositionValue(b []byte, p *Position) []byte {
	var flags byte
	if p.HolesExplained {
		flags |= 1
	}
	if !p.CaughtUpAt.IsZero() {
		flags |= 2
	}
	b = append(b, flags)
	for _, n := range [...]int64{p.FirstOffset, p.NextOffset, int64(p.LeaderEpoch), p.Delivered, p.Control, p.Holes, p.Gaps, p.LastOffset} {
		b = binary.AppendVarint(b, n)
	}
	for _, n := range p.Outcomes {
		b = binary.AppendVarint(b, n)
	}
	b = append(b, p.LastDigest[:]...)
	if flags&2 != 0 {
		b = AppendInstant(b, billing.Instant(p.CaughtUpAt.UnixNano()))
		b = append(b, p.CaughtUpBoot[:]...)
		b = binary.AppendVarint(b, int64(p.CaughtUpUptime))
	}
	return b
}

// ParsePosition reads a position.
func ParsePosition(key, value []byte) (p Position, err error) {
	if len(key) != 7 {
		return p, fmt.Errorf("%w: position key has not 7 bytes", ErrDamaged)
	}
	p.Partition = PartitionID{
		Topic:     billing.TopicOrdinal(binary.BigEndian.Uint16(key[1:])),
		Partition: int32(binary.BigEndian.Uint32(key[3:])),
	}
	f := Decoder{Rest: value}
	flags := f.Byte()
	p.HolesExplained = flags&1 != 0
	p.FirstOffset, p.NextOffset, p.LeaderEpoch = f.Varint(), f.Varint(), int32(f.Varint())
	p.Delivered, p.Control, p.Holes, p.Gaps = f.Varint(), f.Varint(), f.Varint(), f.Varint()
	p.LastOffset = f.Varint()
	for i := range p.Outcomes {
		p.Outcomes[i] = f.Varint()
	}
	p.LastDigest = f.Digest()
	if flags&2 != 0 {
		p.CaughtUpAt = time.Unix(0, int64(f.Instant())).UTC()
		copy(p.CaughtUpBoot[:], f.Take(len(p.CaughtUpBoot)))
		p.CaughtUpUptime = time.Duration(f.Varint())
	}
	return p, f.Done("position")
}
