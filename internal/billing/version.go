package billing

// Instant is a moment as nanoseconds since 1970-01-01T00:00:00Z. It holds the
// years 1970 to 2262, which is what decode lets through.
type Instant int64

// Source is the place of a record in the log.
type Source struct {
	Topic     TopicOrdinal
	Partition int32
	// Offset is the record's own offset (not the next one).
	Offset int64
	// RecordTime is the record's timestamp in milliseconds since the epoch,
	// -1 where the record carries none.
	RecordTime int64
}

// Version orders the copies of one event. The greatest is its winner.
type Version struct {
	IngestedAt     Instant
	SourceRevision int64
	Source         Source
}

// Compare orders versions by (ingested_at, source_revision, record timestamp,
// topic ordinal, partition, offset). It is a total order over the records of a
// state: only a record and itself compare as 0.
func (v Version) Compare(w Version) int {
	panic("not built yet")
}

// Ties reports whether v and w can be told apart only by their place in the
// log: the same ingested_at and source_revision.
func (v Version) Ties(w Version) bool {
	return v.IngestedAt == w.IngestedAt && v.SourceRevision == w.SourceRevision
}
