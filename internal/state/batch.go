package state

import (
	"time"

	"daybook/internal/billing"
)

// Record is one delivered record with its verdict.
type Record struct {
	Event     billing.Event
	Rounded   bool
	Rejection *billing.Rejection // nil: Event is set
	Key       []byte             // kept when rejected
	Value     []byte             // kept when rejected
	Size      int                // bytes of the value
}

// Advance moves one partition's position over what a batch consumed of it.
type Advance struct {
	Partition   PartitionID
	FirstOffset int64 // where the partition's log began for this state; used on first sight only
	From, Next  int64 // [From, Next); From must equal the stored NextOffset
	LeaderEpoch int32
	Delivered   int64
	Control     int64
	Holes       int64
	// LastOffset and LastDigest (SHA-256, 16 bytes, of key, value and timestamp) of the last
	// record consumed; used to recognise a topic without an id.
	LastOffset int64
	LastDigest billing.Digest
	// Transactional or compacted: holes are explained.
	HolesExplained bool
}

// CaughtUp is evidence that a partition was read to an end listed at At.
type CaughtUp struct {
	Partition PartitionID
	At        time.Time
}

// Batch is one atomic write.
type Batch struct {
	Records  []Record // each in exactly one partition of Advances
	Advances []Advance
	CaughtUp []CaughtUp
}

// Applied is what a batch came to.
type Applied struct {
	Sequence Sequence
	Outcomes [billing.OutcomeCount]int64
	Reasons  map[billing.Reason]int64
	Rounded  int64
	Ties     int64
	Dirty    int // account-days touched
}
