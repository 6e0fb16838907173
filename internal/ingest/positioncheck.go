package ingest

import (
	"fmt"

	"daybook/internal/billing"
	"daybook/internal/state"
)

// The remedies of a Stop.
const (
	remedyGap     = "go on without them by `ingest run --accept-gap`, which leaves the days they may touch incomplete for good, or restore the topic"
	remedyDamaged = "start ingest again, and if it stops there again, restore the partition on the broker"
	remedyRebuild = "rebuild the state with `ingest rebuild`"
)

// gap is a range of offsets [From, Next) that can no longer be read.
type gap struct {
	topic      state.Topic
	partition  state.PartitionID
	From, Next int64
}

// stop returns the gap as an error.
func (g *gap) stop() *Stop {
	return &Stop{
		Topic: g.topic.Name, Partition: g.partition.Partition, Cause: ErrLogTrimmed,
		Detail: fmt.Sprintf("offsets %d to %d are gone, the log begins at %d", g.From, g.Next-1, g.Next),
		Remedy: remedyGap,
	}
}

// checkPosition checks whether a partition can be read from its stored position. pos is nil for a new partition,
// which starts at offset 0. It returns the gap if the log starts later, and a Stop if the log does not match the
// position.
func checkPosition(t state.Topic, id state.PartitionID, pos *state.Position, b bounds) (*gap, error) {
	next := int64(0)
	if pos != nil {
		next = pos.NextOffset
	}
	if next > b.End {
		return nil, &Stop{
			Topic: t.Name, Partition: id.Partition, Cause: ErrLogTruncated,
			Detail: fmt.Sprintf("the next offset to read is %d, the log ends at %d", next, b.End),
			Remedy: remedyRebuild,
		}
	}
	if next < b.Start {
		return &gap{topic: t, partition: id, From: next, Next: b.Start}, nil
	}
	return nil, nil
}

// sameInput refuses a listing of another cluster or of recreated topics.
func sameInput(id state.Identity, l *listing) error {
	if id.Cluster != "" && l.Cluster != id.Cluster {
		return &Stop{
			Partition: -1, Cause: ErrOtherCluster,
			Detail: fmt.Sprintf("the state is of cluster %s, the brokers are of %s", id.Cluster, l.Cluster),
			Remedy: "check --brokers, or make a state of this cluster by `ingest init` in an empty directory",
		}
	}
	for _, t := range id.Topics {
		if now := l.TopicIDs[t.Name]; t.ID != "" && now != t.ID {
			return &Stop{
				Topic: t.Name, Partition: -1, Cause: ErrTopicRecreated,
				Detail: fmt.Sprintf("its id was %s and is %s", t.ID, now),
				Remedy: remedyRebuild,
			}
		}
	}
	return nil
}

// partitionsGone refuses a listing in which a partition of the state is missing.
func partitionsGone(topics map[billing.TopicOrdinal]state.Topic, positions []state.Position, l *listing) error {
	for _, pos := range positions {
		if _, ok := l.Partitions[pos.Partition]; !ok {
			return &Stop{
				Topic: topics[pos.Partition.Topic].Name, Partition: pos.Partition.Partition, Cause: ErrPartitionGone,
				Detail: "the topic has fewer partitions than before, so it is not the same",
				Remedy: remedyRebuild,
			}
		}
	}
	return nil
}
