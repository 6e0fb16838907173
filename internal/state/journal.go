package state

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"time"

	"daybook/internal/billing"
)

// Head is the newest journal entry.
type Head struct {
	Sequence Sequence
	Digest   Digest
}

// entryKind says what a journalled write was. The numbers are stored and never change.
type entryKind byte

const (
	entryCreated  entryKind = 1
	entryBatch    entryKind = 2
	entryDecision entryKind = 3
	entryTopics   entryKind = 4
	entryRetry    entryKind = 5
)

// span is what a write did to one partition's position.
type span struct {
	partition  PartitionID
	from, next int64
}

// totals count the state's rows after a write. The digests are over all
// locators but for their generation, and over all records.
type totals struct {
	locators, records, quarantined, decisions int64
	locatorDigest, recordDigest               setDigest
	generation                                generation // the newest
	older                                     int64      // locators of those before it
}

func appendTotals(b []byte, t *totals) []byte {
	for _, n := range [...]int64{t.locators, t.records, t.quarantined, t.decisions} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	for _, d := range [...]setDigest{t.locatorDigest, t.recordDigest} {
		b = binary.BigEndian.AppendUint64(b, d.hi)
		b = binary.BigEndian.AppendUint64(b, d.lo)
	}
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(t.generation)), uint64(t.older))
}

func (f *fields) totals() (t totals) {
	for _, n := range [...]*int64{&t.locators, &t.records, &t.quarantined, &t.decisions} {
		*n = int64(f.uvarint())
	}
	for _, d := range [...]*setDigest{&t.locatorDigest, &t.recordDigest} {
		if b := f.take(16); b != nil {
			d.hi, d.lo = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
		}
	}
	g := f.uvarint()
	f.bad = f.bad || g > maxGeneration
	t.generation, t.older = generation(g), int64(f.uvarint())
	return t
}

// entry is one journal entry: what a write did.
type entry struct {
	sequence Sequence
	kind     entryKind
	at       time.Time
	spans    []span
	outcomes [billing.OutcomeCount]int64 // of this write; a retry takes from quarantined
	totals   totals                      // after it
	digest   Digest                      // over the entry before, and this one
}

// appendBody appends all of the entry but its digest.
func (e *entry) appendBody(b []byte) []byte {
	b = appendInstant(append(b, byte(e.kind)), billing.Instant(e.at.UnixNano()))
	b = binary.AppendUvarint(b, uint64(len(e.spans)))
	for _, s := range e.spans {
		b = binary.AppendUvarint(b, uint64(s.partition.Topic))
		b = binary.AppendUvarint(b, uint64(uint32(s.partition.Partition)))
		b = binary.AppendVarint(b, s.from)
		b = binary.AppendVarint(b, s.next)
	}
	for _, n := range e.outcomes {
		b = binary.AppendVarint(b, n)
	}
	return appendTotals(b, &e.totals)
}

// chain sets the digest: SHA-256, 16 bytes, of the digest before, the sequence and the body.
func (e *entry) chain(before Digest, body []byte) {
	h := sha256.New()
	h.Write(before[:])
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(e.sequence)))
	h.Write(body)
	copy(e.digest[:], h.Sum(nil))
}

// appendEntry chains the entry and appends its value.
func (e *entry) appendEntry(b []byte, before Digest) []byte {
	at := len(b) + len(e.digest)
	b = append(b, e.digest[:]...)
	b = e.appendBody(b)
	e.chain(before, b[at:])
	copy(b[at-len(e.digest):], e.digest[:])
	return b
}

// parseEntry reads an entry and verifies that it follows the one before.
func parseEntry(key, value []byte, before Head) (e entry, err error) {
	n, err := keySequence(key)
	if err != nil {
		return e, err
	}
	e.sequence = Sequence(n)
	if e.sequence != before.Sequence+1 {
		return e, fmt.Errorf("%w: the journal goes from write %d to %d", ErrDamaged, before.Sequence, e.sequence)
	}
	f := fields{b: value}
	stored := Digest(f.digest())
	body := f.b
	e.kind = entryKind(f.byte())
	e.at = time.Unix(0, int64(f.instant())).UTC()
	n = f.uvarint()
	for i := uint64(0); i < n && !f.bad; i++ {
		e.spans = append(e.spans, span{
			partition: PartitionID{Topic: billing.TopicOrdinal(f.uvarint()), Partition: int32(f.uvarint())},
			from:      f.varint(),
			next:      f.varint(),
		})
	}
	for i := range e.outcomes {
		e.outcomes[i] = f.varint()
	}
	e.totals = f.totals()
	if err := f.done("journal entry"); err != nil {
		return e, err
	}
	if e.chain(before.Digest, body); e.digest != stored {
		return e, fmt.Errorf("%w: journal entry %d does not follow from the one before", ErrDamaged, n)
	}
	return e, nil
}

// journal is the journal folded up to its head: what must be true of the rest
// of the state. Stored, it is the base entry.
type journal struct {
	head     Head
	at       time.Time
	totals   totals
	outcomes [billing.OutcomeCount]int64 // of all writes
	next     map[PartitionID]int64
}

// fold takes the entry after the head.
func (j *journal) fold(e *entry) error {
	for _, s := range e.spans {
		if at, ok := j.next[s.partition]; ok && at != s.from {
			return fmt.Errorf("%w: write %d takes partition %d of topic %d from offset %d, but it was at %d",
				ErrDamaged, e.sequence, s.partition.Partition, s.partition.Topic, s.from, at)
		}
		if s.next < s.from {
			return fmt.Errorf("%w: write %d takes partition %d of topic %d back", ErrDamaged, e.sequence, s.partition.Partition, s.partition.Topic)
		}
		j.next[s.partition] = s.next
	}
	for i, n := range e.outcomes {
		j.outcomes[i] += n
	}
	j.head = Head{Sequence: e.sequence, Digest: e.digest}
	j.at, j.totals = e.at, e.totals
	return nil
}

func (j *journal) clone() *journal {
	k := *j
	k.next = maps.Clone(j.next)
	return &k
}

func (j *journal) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(j.head.Sequence))
	b = append(b, j.head.Digest[:]...)
	b = appendInstant(b, billing.Instant(j.at.UnixNano()))
	b = appendTotals(b, &j.totals)
	for _, n := range j.outcomes {
		b = binary.AppendVarint(b, n)
	}
	b = binary.AppendUvarint(b, uint64(len(j.next)))
	for _, p := range sortedPartitions(j.next) {
		b = binary.AppendUvarint(b, uint64(p.Topic))
		b = binary.AppendUvarint(b, uint64(uint32(p.Partition)))
		b = binary.AppendVarint(b, j.next[p])
	}
	return b
}

func parseBase(value []byte) (*journal, error) {
	j := &journal{next: map[PartitionID]int64{}}
	f := fields{b: value}
	j.head.Sequence = Sequence(f.uvarint())
	j.head.Digest = f.digest()
	j.at = time.Unix(0, int64(f.instant())).UTC()
	j.totals = f.totals()
	for i := range j.outcomes {
		j.outcomes[i] = f.varint()
	}
	n := f.uvarint()
	for i := uint64(0); i < n && !f.bad; i++ {
		p := PartitionID{Topic: billing.TopicOrdinal(f.uvarint()), Partition: int32(f.uvarint())}
		j.next[p] = f.varint()
	}
	return j, f.done("journal base")
}
