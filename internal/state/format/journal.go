package format

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"time"

	"daybook/internal/billing"
)

// Head identifies the newest journal entry.
type Head struct {
	Sequence Sequence
	Digest   Digest
}

// EntryKind says what a write was for. The numbers are stored and never change.
type EntryKind byte

const (
	EntryCreated  EntryKind = 1
	EntryBatch    EntryKind = 2
	EntryDecision EntryKind = 3
	EntryTopics   EntryKind = 4
	EntryRetry    EntryKind = 5
)

// Span is how a write moved one partition's position.
type Span struct {
	Partition  PartitionID
	From, Next int64
}

// Totals count the rows of a state after a write. The digests are of the set of all locators, without their
// generation, and of the set of all records.
type Totals struct {
	Locators, Records, Quarantined, Decisions int64
	LocatorDigest, RecordDigest               billing.Digest
	Generation                                Generation // the newest one
	Older                                     int64      // how many locators are of generations before it
}

func appendTotals(b []byte, t *Totals) []byte {
	for _, n := range [...]int64{t.Locators, t.Records, t.Quarantined, t.Decisions} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	b = append(append(b, t.LocatorDigest[:]...), t.RecordDigest[:]...)
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(t.Generation)), uint64(t.Older))
}

func (f *Decoder) totals() (t Totals) {
	for _, n := range [...]*int64{&t.Locators, &t.Records, &t.Quarantined, &t.Decisions} {
		*n = int64(f.Uvarint())
	}
	t.LocatorDigest, t.RecordDigest = f.Digest(), f.Digest()
	g := f.Uvarint()
	f.Bad = f.Bad || g > MaxGeneration
	t.Generation, t.Older = Generation(g), int64(f.Uvarint())
	return t
}

// Entry is what the journal says of one write.
type Entry struct {
	Sequence Sequence
	Kind     EntryKind
	At       time.Time
	Spans    []Span
	Outcomes [billing.OutcomeCount]int64 // of this write. A retry subtracts from quarantined
	Totals   Totals                      // after the write
	Digest   Digest                      // of this entry and, by the digest before it, of all before
}

// appendBody appends all of the entry but its digest.
func (e *Entry) appendBody(b []byte) []byte {
	b = AppendInstant(append(b, byte(e.Kind)), billing.Instant(e.At.UnixNano()))
	b = binary.AppendUvarint(b, uint64(len(e.Spans)))
	for _, s := range e.Spans {
		b = binary.AppendUvarint(b, uint64(s.Partition.Topic))
		b = binary.AppendUvarint(b, uint64(uint32(s.Partition.Partition)))
		b = binary.AppendVarint(b, s.From)
		b = binary.AppendVarint(b, s.Next)
	}
	for _, n := range e.Outcomes {
		b = binary.AppendVarint(b, n)
	}
	return appendTotals(b, &e.Totals)
}

// chain sets the digest: SHA-256, 16 bytes, of the digest before, the sequence and the body.
func (e *Entry) chain(before Digest, body []byte) {
	h := sha256.New()
	h.Write(before[:])
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(e.Sequence)))
	h.Write(body)
	copy(e.Digest[:], h.Sum(nil))
}

// AppendValue sets the entry's digest, which follows from the one before, and appends the entry's value.
func (e *Entry) AppendValue(b []byte, before Digest) []byte {
	at := len(b) + len(e.Digest)
	b = append(b, e.Digest[:]...)
	b = e.appendBody(b)
	e.chain(before, b[at:])
	copy(b[at-len(e.Digest):], e.Digest[:])
	return b
}

// ParseEntry reads an entry. ErrDamaged if it does not follow the entry before.
func ParseEntry(key, value []byte, before Head) (e Entry, err error) {
	n, err := ParseSequenceKey(key)
	if err != nil {
		return e, err
	}
	e.Sequence = Sequence(n)
	if e.Sequence != before.Sequence+1 {
		return e, fmt.Errorf("%w: journal gap: entry %d is followed by %d", ErrDamaged, before.Sequence, e.Sequence)
	}
	f := Decoder{Rest: value}
	stored := Digest(f.Digest())
	body := f.Rest
	e.Kind = EntryKind(f.Byte())
	e.At = time.Unix(0, int64(f.Instant())).UTC()
	n = f.Uvarint()
	for i := uint64(0); i < n && !f.Bad; i++ {
		e.Spans = append(e.Spans, Span{
			Partition: PartitionID{Topic: billing.TopicOrdinal(f.Uvarint()), Partition: int32(f.Uvarint())},
			From:      f.Varint(),
			Next:      f.Varint(),
		})
	}
	for i := range e.Outcomes {
		e.Outcomes[i] = f.Varint()
	}
	e.Totals = f.totals()
	if err := f.Done("journal entry"); err != nil {
		return e, err
	}
	if e.chain(before.Digest, body); e.Digest != stored {
		return e, fmt.Errorf("%w: journal entry %d has a digest that does not follow from the entry before", ErrDamaged, n)
	}
	return e, nil
}

// Journal is all entries up to Head, folded into one: what must be true of the rest of the state. It is stored as
// the base, in place of entries that were removed.
type Journal struct {
	Head     Head
	At       time.Time
	Totals   Totals
	Outcomes [billing.OutcomeCount]int64 // of all writes
	Next     map[PartitionID]int64       // NextOffset of each partition
}

// Fold adds the entry after Head. ErrDamaged if it does not continue the positions.
func (j *Journal) Fold(e *Entry) error {
	for _, s := range e.Spans {
		if at, ok := j.Next[s.Partition]; ok && at != s.From {
			return fmt.Errorf("%w: write %d moves partition %d of topic %d from offset %d, but it was at %d",
				ErrDamaged, e.Sequence, s.Partition.Partition, s.Partition.Topic, s.From, at)
		}
		if s.Next < s.From {
			return fmt.Errorf("%w: write %d moves partition %d of topic %d backwards", ErrDamaged, e.Sequence, s.Partition.Partition, s.Partition.Topic)
		}
		j.Next[s.Partition] = s.Next
	}
	for i, n := range e.Outcomes {
		j.Outcomes[i] += n
	}
	j.Head = Head{Sequence: e.Sequence, Digest: e.Digest}
	j.At, j.Totals = e.At, e.Totals
	return nil
}

// Clone is a copy that shares no memory.
func (j *Journal) Clone() *Journal {
	k := *j
	k.Next = maps.Clone(j.Next)
	return &k
}

// AppendValue appends the journal's value as a base.
func (j *Journal) AppendValue(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(j.Head.Sequence))
	b = append(b, j.Head.Digest[:]...)
	b = AppendInstant(b, billing.Instant(j.At.UnixNano()))
	b = appendTotals(b, &j.Totals)
	for _, n := range j.Outcomes {
		b = binary.AppendVarint(b, n)
	}
	b = binary.AppendUvarint(b, uint64(len(j.Next)))
	for _, p := range SortedPartitions(j.Next) {
		b = binary.AppendUvarint(b, uint64(p.Topic))
		b = binary.AppendUvarint(b, uint64(uint32(p.Partition)))
		b = binary.AppendVarint(b, j.Next[p])
	}
	return b
}

// ParseJournal reads a base.
func ParseJournal(value []byte) (*Journal, error) {
	j := &Journal{Next: map[PartitionID]int64{}}
	f := Decoder{Rest: value}
	j.Head.Sequence = Sequence(f.Uvarint())
	j.Head.Digest = f.Digest()
	j.At = time.Unix(0, int64(f.Instant())).UTC()
	j.Totals = f.totals()
	for i := range j.Outcomes {
		j.Outcomes[i] = f.Varint()
	}
	n := f.Uvarint()
	for i := uint64(0); i < n && !f.Bad; i++ {
		p := PartitionID{Topic: billing.TopicOrdinal(f.Uvarint()), Partition: int32(f.Uvarint())}
		j.Next[p] = f.Varint()
	}
	return j, f.Done("journal base")
}

// NewJournal is the journal of a new state. Its chain starts with the database id, so that no two states share a
// digest.
func NewJournal(id DatabaseID, at time.Time) *Journal {
	e := Entry{Kind: EntryCreated, At: at}
	e.chain(Digest{}, []byte(id))
	return &Journal{Head: Head{Digest: e.Digest}, At: at, Next: map[PartitionID]int64{}}
}
