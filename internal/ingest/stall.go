package ingest

import (
	"fmt"
	"time"

	"daybook/internal/billing"
	"daybook/internal/clock"
	"daybook/internal/state"
)

// stallAfter is the time without progress after which a partition with unread records is reported.
const stallAfter = 2 * time.Minute

// stall detects partitions without progress although their brokers answer. The client does not report some errors
// of brokers, such as an offline disk, which may persist.
type stall struct {
	topics   map[billing.TopicOrdinal]state.Topic
	standing map[state.PartitionID]standing
}

// standing is the offset of a partition and the time since when it has not changed.
type standing struct {
	next  int64
	since clock.Reading
}

// newStall returns an empty stall detector.
func newStall(topics map[billing.TopicOrdinal]state.Topic) *stall {
	return &stall{topics: topics, standing: map[state.PartitionID]standing{}}
}

// see compares a listing with the durable next offsets and returns the partition without progress; nil if there is
// none.
func (s *stall) see(l *listing, next map[state.PartitionID]int64) error {
	var err error
	for id, b := range l.Partitions {
		at, seen := s.standing[id]
		if !seen || at.next != next[id] || next[id] >= b.Stable {
			s.standing[id] = standing{next[id], l.At}
			continue
		}
		if d := l.At.Since(at.since); d >= stallAfter {
			err = fmt.Errorf("topic %s partition %d stands at offset %d of %d for %s although its broker answers: look into that broker's log",
				s.topics[id.Topic].Name, id.Partition, at.next, b.Stable, d.Round(time.Second))
		}
	}
	return err
}
