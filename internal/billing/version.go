package billing

import (
	"cmp"
	"math"
	"time"
)

// Instant is a moment in nanoseconds since 1970-01-01T00:00:00Z. Its range is the years 1970 to 2262; decode
// rejects all others.
type Instant int64

// InstantOf converts t. ok is false if t is outside the range of Instant.
func InstantOf(t time.Time) (i Instant, ok bool) {
	const perSecond = int64(time.Second)
	s, ns := t.Unix(), int64(t.Nanosecond())
	if s < 0 || s > math.MaxInt64/perSecond || s == math.MaxInt64/perSecond && ns > math.MaxInt64%perSecond {
		return 0, false
	}
	return Instant(s*perSecond + ns), true
}

// Time returns the moment in UTC.
func (i Instant) Time() time.Time { return time.Unix(0, int64(i)).UTC() }

// Source is the place of a record in the log.
type Source struct {
	Topic     TopicOrdinal
	Partition int32
	// Offset is the offset of the record itself, not the next one.
	Offset int64
	// RecordTime is the record's timestamp in milliseconds since 1970-01-01T00:00:00Z, or -1 if it has none.
	RecordTime int64
}

// Version orders the versions of one event. The greatest is its winner.
type Version struct {
	IngestedAt     Instant
	SourceRevision int64
	Source         Source
}

// Compare orders versions by (ingested_at, source_revision, record timestamp, topic ordinal, partition,
// offset). The order is total over the records of a state: two different records never compare as 0.
func (v Version) Compare(w Version) int {
	return cmp.Or(
		cmp.Compare(v.IngestedAt, w.IngestedAt),
		cmp.Compare(v.SourceRevision, w.SourceRevision),
		cmp.Compare(v.Source.RecordTime, w.Source.RecordTime),
		cmp.Compare(v.Source.Topic, w.Source.Topic),
		cmp.Compare(v.Source.Partition, w.Source.Partition),
		cmp.Compare(v.Source.Offset, w.Source.Offset),
	)
}

// Ties reports whether v and w have the same ingested_at and source_revision, so that their order depends only
// on the record's timestamp and place in the log.
func (v Version) Ties(w Version) bool {
	return v.IngestedAt == w.IngestedAt && v.SourceRevision == w.SourceRevision
}
