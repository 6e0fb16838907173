package ingest

import (
	"fmt"
	"time"

	"daybook/internal/billing"
	"daybook/internal/clock"
	"daybook/internal/state"
)

// stallAfter is how long a partition with records to read may stand still before
// ingest says so.
const stallAfter = 2 * time.Minute

// stall finds partitions that stand still although their brokers answer. The
// client keeps to itself what brokers say for a while, such as that a disk is away;
// a broker may say it for ever.
type stall struct {
	topics   map[billing.TopicOrdinal]state.Topic
	standing map[state.PartitionID]standing
}

// standing is where a partition is, and since when.
type standing struct {
	next  int64
	since clock.Reading
}

// newStall makes one that has seen nothing.
func newStall(topics map[billing.TopicOrdinal]state.Topic) *stall {
	return &stall{topics: topics, standing: map[state.PartitionID]standing{}}
}

// see takes a listing and the durable next offsets, and returns what stands still, nil
// if nothing does.
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
