package state

import (
	"time"

	"daybook/internal/billing"
	"daybook/internal/clock"
	"daybook/internal/state/format"
)

// Record is one delivered record with its verdict: an event, or why it is none.
type Record struct {
	Event     billing.Event
	Rounded   bool
	Rejection *billing.Rejection // nil: Event is set
	Key       []byte             // set if rejected
	Value     []byte             // set if rejected
	Size      int                // bytes of the value, as it was delivered
}

// Advance is the range of offsets that a batch consumes of one partition. Delivered + Control + Holes = Next − From.
type Advance struct {
	Partition   PartitionID
	FirstOffset int64 // of the partition's log; used when the state sees the partition for the first time
	From, Next  int64 // [From, Next); From must equal the stored NextOffset
	LeaderEpoch int32
	Delivered   int64
	Control     int64
	Holes       int64
	// LastOffset and LastDigest (SHA-256, 16 bytes, of key, value and timestamp) of the last
	// record consumed; they identify a topic without an id.
	LastOffset int64
	LastDigest billing.Digest
	// HolesExplained says that the topic is transactional or compacted.
	HolesExplained bool
}

// CaughtUp is evidence that a partition was read to the end that it had at At. The zero At withdraws the evidence
// that the state has.
type CaughtUp struct {
	Partition PartitionID
	At        time.Time
	Boot      clock.BootID  // of the clock that showed At
	Uptime    time.Duration // of the clock that showed At
}

// NewCaughtUp is evidence made at a moment.
func NewCaughtUp(id PartitionID, at clock.Reading) CaughtUp {
	return CaughtUp{Partition: id, At: at.Wall, Boot: at.Boot, Uptime: at.Uptime}
}

// Batch is one atomic write.
type Batch struct {
	Parts    []*PackedPart // applied in this order; each is of a partition in Advances
	Advances []Advance
	CaughtUp []CaughtUp
}

// Add adds records in the order given, each to the last part if that is of its partition, else to a new one.
func (b *Batch) Add(records ...Record) {
	for i := range records {
		id := format.PartitionOf(records[i].source())
		if n := len(b.Parts); n == 0 || b.Parts[n-1].Partition != id {
			b.Parts = append(b.Parts, &PackedPart{Partition: id})
		}
		b.Parts[len(b.Parts)-1].Add(&records[i])
	}
}

// Len is the number of records.
func (b *Batch) Len() (n int) {
	for _, p := range b.Parts {
		n += p.rows
	}
	return n
}

// Applied is what a write did.
type Applied struct {
	Sequence Sequence
	Outcomes [billing.OutcomeCount]int64
	Reasons  map[billing.Reason]int64
	Rounded  int64
	Ties     int64
	Dirty    int // account-days that became dirty
}
