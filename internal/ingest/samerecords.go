package ingest

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/state"
)

// recogniseTimeout bounds reading one record again.
const recogniseTimeout = 10 * time.Second

// sameRecords reads the last consumed record of each partition again if the broker has no topic IDs, and refuses
// the topic if the record differs.
func (g *Ingester) sameRecords(ctx context.Context, admin *kgo.Client, positions []state.Position, l *listing) error {
	want := map[topicPartition]state.Position{}
	at := map[string]map[int32]kgo.Offset{}
	for _, pos := range positions {
		t := g.tracker.topics[pos.Partition.Topic]
		b, ok := l.Partitions[pos.Partition]
		if t.ID != "" || !ok || pos.LastOffset < 0 || pos.LastOffset < b.Start {
			continue
		}
		want[topicPartition{t.Name, pos.Partition.Partition}] = pos
		if at[t.Name] == nil {
			at[t.Name] = map[int32]kgo.Offset{}
		}
		at[t.Name][pos.Partition.Partition] = kgo.NewOffset().At(pos.LastOffset)
	}
	if len(want) == 0 {
		return nil
	}
	cl, err := g.connect(g.fetchOptions(at)...)
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, recogniseTimeout)
	defer cancel()
	for len(want) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return fmt.Errorf("read last records again: %w", err)
		}
		var fault error
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			tp := topicPartition{p.Topic, p.Partition}
			pos, ok := want[tp]
			if !ok || len(p.Records) == 0 || fault != nil {
				return
			}
			delete(want, tp)
			// A compacted topic may have dropped the record; that proves nothing.
			if r := p.Records[0]; r.Offset == pos.LastOffset && recordDigest(r) != pos.LastDigest {
				fault = &Stop{
					Topic: p.Topic, Partition: p.Partition, Cause: ErrTopicRecreated,
					Detail: fmt.Sprintf("the record at offset %d is not the one consumed there", pos.LastOffset),
					Remedy: remedyRebuild,
				}
			}
		})
		if fault != nil {
			return fault
		}
	}
	return nil
}
