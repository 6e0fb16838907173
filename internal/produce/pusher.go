package produce

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"daybook/internal/delivery"
	"daybook/internal/kafka"
)

// Limits of pushing.
const (
	connectTimeout  = 15 * time.Second
	deliveryTimeout = 2 * time.Minute // for one record, retries included
	maxInFlight     = 100_000         // records
	maxInFlightSize = 256 << 20       // bytes of them
	linger          = 5 * time.Millisecond
)

// MaxRecordBytes bounds key and value of a record together: the default limit of brokers, less the overhead of a batch.
const MaxRecordBytes = 1_000_000 - 512

// Pusher is a Sink that pushes to a Kafka topic: idempotently, acknowledged by all in-sync replicas, with retries
// for two minutes.
type Pusher struct {
	config  kafka.Config
	topic   string
	topicID string
	client  *kgo.Client
	log     *slog.Logger
	acked   atomic.Int64
	failed  struct {
		sync.Mutex
		err error
	}
	stop chan struct{} // closed at the first failure
	own  struct {
		sync.Mutex
		ranges map[int32]OffsetRange // acknowledged records of recorded loads, without a gap
	}

	inFlight, inFlightSize atomic.Int64
	room                   chan struct{} // receives when a record is no longer in flight
}

// NewPusher connects to the cluster and checks that the topic exists. If partitions > 0 it creates a missing topic
// without expiry.
func NewPusher(ctx context.Context, config kafka.Config, topic string, partitions int, log *slog.Logger) (*Pusher, error) {
	opts, err := config.Options(log)
	if err != nil {
		return nil, err
	}
	p := &Pusher{config: config, topic: topic, log: log, stop: make(chan struct{}), room: make(chan struct{}, 1)}
	p.own.ranges = map[int32]OffsetRange{}
	p.client, err = kgo.NewClient(append(opts,
		kgo.DefaultProduceTopic(topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordDeliveryTimeout(deliveryTimeout),
		kgo.ProducerLinger(linger),
		kgo.MaxBufferedRecords(maxInFlight+1), // Push waits before the client does
		kgo.ProducerBatchCompression(kgo.SnappyCompression(), kgo.NoCompression()),
	)...)
	if err != nil {
		return nil, fmt.Errorf("make a Kafka client: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	err = p.findTopic(ctx)
	if errors.Is(err, kerr.UnknownTopicOrPartition) && partitions > 0 {
		if err = p.createTopic(ctx, partitions); err == nil {
			log.Info("created topic", "topic", topic, "partitions", partitions)
			err = p.findTopic(ctx)
		}
	}
	if err != nil {
		p.client.Close()
		return nil, config.Explain("topic "+topic, err)
	}
	return p, nil
}

// findTopic looks the topic up in the cluster.
func (p *Pusher) findTopic(ctx context.Context) error {
	if err := p.client.Ping(ctx); err != nil {
		return err
	}
	request := kmsg.NewPtrMetadataRequest()
	request.AllowAutoTopicCreation = false
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr(p.topic)
	request.Topics = append(request.Topics, topic)
	response, err := request.RequestWith(ctx, p.client)
	if err != nil {
		return err
	}
	if len(response.Topics) != 1 {
		return kerr.UnknownTopicOrPartition
	}
	if id := response.Topics[0].TopicID; id != [16]byte{} {
		p.topicID = hex.EncodeToString(id[:])
	}
	return kerr.ErrorForCode(response.Topics[0].ErrorCode)
}

// TopicID is the topic's ID in hex; empty if the broker has none.
func (p *Pusher) TopicID() string { return p.topicID }

// createTopic creates the topic with retention.ms=-1 and the default replication of the cluster.
func (p *Pusher) createTopic(ctx context.Context, partitions int) error {
	request := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = p.topic, int32(partitions), -1
	forever := kmsg.NewCreateTopicsRequestTopicConfig()
	forever.Name, forever.Value = "retention.ms", kmsg.StringPtr("-1")
	topic.Configs = append(topic.Configs, forever)
	request.Topics = append(request.Topics, topic)
	response, err := request.RequestWith(ctx, p.client)
	if err != nil {
		return err
	}
	if len(response.Topics) != 1 {
		return fmt.Errorf("create topic %s: the broker answered nothing", p.topic)
	}
	if err := kerr.ErrorForCode(response.Topics[0].ErrorCode); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("create topic %s: %w", p.topic, err)
	}
	return nil
}

// Push passes one record to the client. It waits while too many are in flight, and returns the first failure of any
// earlier record. The end of ctx ends the wait; records that the client has are still sent.
func (p *Pusher) Push(ctx context.Context, r Record) error {
	for p.inFlight.Load() >= maxInFlight || p.inFlightSize.Load() >= maxInFlightSize {
		select {
		case <-p.room:
		case <-p.stop:
			return p.failure()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case <-p.stop:
		return p.failure()
	default:
	}
	p.inFlight.Add(1)
	p.inFlightSize.Add(int64(len(r.Key) + len(r.Value)))
	record := &kgo.Record{Key: r.Key, Value: r.Value}
	if r.Mark != nil {
		record.Headers = []kgo.RecordHeader{{Key: delivery.HeaderKey, Value: r.Mark}}
	}
	p.client.Produce(context.WithoutCancel(ctx), record, p.delivered)
	return nil
}

// Flush waits until every record is acknowledged or has failed.
func (p *Pusher) Flush(ctx context.Context) error {
	if err := p.client.Flush(ctx); err != nil {
		return p.config.Explain("topic "+p.topic, err)
	}
	return p.failure()
}

// Acked is the number of records that the cluster has acknowledged.
func (p *Pusher) Acked() int64 { return p.acked.Load() }

// Close closes the client. Records in flight fail.
func (p *Pusher) Close() error {
	p.client.Close()
	return nil
}

// delivered is called with the result of each record.
func (p *Pusher) delivered(r *kgo.Record, err error) {
	p.inFlight.Add(-1)
	p.inFlightSize.Add(-int64(len(r.Key) + len(r.Value)))
	select {
	case p.room <- struct{}{}:
	default:
	}
	if err == nil {
		p.acked.Add(1)
		if r.Headers != nil {
			p.addOwn(r.Partition, r.Offset)
		}
		return
	}
	p.failed.Lock()
	defer p.failed.Unlock()
	if p.failed.err == nil {
		p.failed.err = p.config.Explain("topic "+p.topic, err)
		close(p.stop)
	}
}

// addOwn notes a record of this Pusher. Records after a record of another producer are not noted.
func (p *Pusher) addOwn(partition int32, offset int64) {
	p.own.Lock()
	defer p.own.Unlock()
	own, ok := p.own.ranges[partition]
	if !ok {
		own = OffsetRange{First: offset, Next: offset}
	}
	if own.Next == offset {
		own.Next++
		p.own.ranges[partition] = own
	}
}

// ownRecords are the records of a partition that this Pusher pushed, up to the
// first one of another producer.
func (p *Pusher) ownRecords(partition int32) OffsetRange {
	p.own.Lock()
	defer p.own.Unlock()
	return p.own.ranges[partition]
}

// failure returns the first failure of a record; nil if there is none.
func (p *Pusher) failure() error {
	p.failed.Lock()
	defer p.failed.Unlock()
	return p.failed.err
}
