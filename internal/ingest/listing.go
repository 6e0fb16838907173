package ingest

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"daybook/internal/clock"
	"daybook/internal/state"
)

// The timestamps by which Kafka's ListOffsets asks for the ends of a log, and
// its isolation levels.
const (
	logStart        = -2
	logEnd          = -1
	readUncommitted = 0
	readCommitted   = 1
)

// bounds are the offsets of a partition at the time of a listing.
type bounds struct {
	Start  int64 // first existing offset
	Stable int64 // end for a read_committed consumer
	End    int64 // next offset to be written
}

// listing is one round of metadata and ListOffsets over every partition.
type listing struct {
	At         clock.Reading // before the round began
	Cluster    string
	TopicIDs   map[string]string // by name, in hex; empty if the broker has none
	Partitions map[state.PartitionID]bounds
}

// list lists the topics. It asks the brokers and not the client's cache, because older data proves nothing about
// At. An error of one topic or partition fails the listing.
func list(ctx context.Context, cl *kgo.Client, topics []state.Topic, now func() clock.Reading) (*listing, error) {
	l := &listing{At: now(), TopicIDs: map[string]string{}, Partitions: map[state.PartitionID]bounds{}}
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Name
	}
	partitions, err := l.describe(ctx, cl, names)
	if err != nil {
		return nil, err
	}
	starts, err := listOffsets(ctx, cl, partitions, logStart, readUncommitted)
	if err != nil {
		return nil, err
	}
	// The stable ends are listed before the ends, so that records written in between do not look like an open
	// transaction.
	stables, err := listOffsets(ctx, cl, partitions, logEnd, readCommitted)
	if err != nil {
		return nil, err
	}
	ends, err := listOffsets(ctx, cl, partitions, logEnd, readUncommitted)
	if err != nil {
		return nil, err
	}
	for _, t := range topics {
		for _, p := range partitions[t.Name] {
			id := state.PartitionID{Topic: t.Ordinal, Partition: p}
			at := topicPartition{t.Name, p}
			l.Partitions[id] = bounds{Start: starts[at], Stable: stables[at], End: ends[at]}
		}
	}
	return l, nil
}

// topicPartition names a partition as Kafka does.
type topicPartition struct {
	topic     string
	partition int32
}

// describe sets the cluster and topic IDs and returns the partitions of each topic.
func (l *listing) describe(ctx context.Context, cl *kgo.Client, names []string) (map[string][]int32, error) {
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, fmt.Errorf("ask for metadata: %w", err)
	}
	if resp.ClusterID != nil {
		l.Cluster = *resp.ClusterID
	}
	partitions := map[string][]int32{}
	for _, t := range resp.Topics {
		if t.Topic == nil {
			continue
		}
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return nil, &topicError{*t.Topic, fmt.Errorf("ask for metadata: %w", err)}
		}
		if t.TopicID != [16]byte{} {
			l.TopicIDs[*t.Topic] = hex.EncodeToString(t.TopicID[:])
		} else {
			l.TopicIDs[*t.Topic] = ""
		}
		for _, p := range t.Partitions {
			partitions[*t.Topic] = append(partitions[*t.Topic], p.Partition)
		}
	}
	for _, name := range names {
		if len(partitions[name]) == 0 {
			return nil, &topicError{name, fmt.Errorf("ask for metadata: %w", kerr.UnknownTopicOrPartition)}
		}
	}
	return partitions, nil
}

// listOffsets lists one offset of every partition.
func listOffsets(ctx context.Context, cl *kgo.Client, partitions map[string][]int32, timestamp int64, isolation int8) (map[topicPartition]int64, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	req.IsolationLevel = isolation
	wanted := 0
	for topic, ps := range partitions {
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		for _, p := range ps {
			rp := kmsg.NewListOffsetsRequestTopicPartition()
			rp.Partition = p
			rp.Timestamp = timestamp
			rp.CurrentLeaderEpoch = -1
			t.Partitions = append(t.Partitions, rp)
			wanted++
		}
		req.Topics = append(req.Topics, t)
	}
	offsets := make(map[topicPartition]int64, wanted)
	for _, shard := range cl.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, fmt.Errorf("list offsets: %w", shard.Err)
		}
		for _, t := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return nil, &topicError{t.Topic, fmt.Errorf("list offsets of partition %d: %w", p.Partition, err)}
				}
				offsets[topicPartition{t.Topic, p.Partition}] = p.Offset
			}
		}
	}
	if len(offsets) != wanted {
		return nil, fmt.Errorf("list offsets: %d of %d partitions answered", len(offsets), wanted)
	}
	return offsets, nil
}

// topicError is an error that concerns one topic.
type topicError struct {
	topic string
	err   error
}

// Error returns the error with the topic.
func (e *topicError) Error() string { return "topic " + e.topic + ": " + e.err.Error() }

// Unwrap returns the error.
func (e *topicError) Unwrap() error { return e.err }
