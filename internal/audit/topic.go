package audit

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/billing"
	"daybook/internal/kafka"
)

const (
	// pollRecords bounds the records of one poll.
	pollRecords = 10_000
	// pollPause is the pause after a poll that returned only errors.
	pollPause = 100 * time.Millisecond
)

// Kafka reads inputs from a cluster.
type Kafka struct {
	Config      kafka.Config
	IdleTimeout time.Duration // timeout without any record
	Log         *slog.Logger
}

// Read is a Reader. It first checks that the cluster and the topics are those of the input and have all of it.
func (k *Kafka) Read(ctx context.Context, in Input) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if err := k.read(ctx, in, func(r Record) bool { return yield(r, nil) }); err != nil && !errors.Is(err, errEnough) {
			yield(Record{}, err)
		}
	}
}

// errEnough ends a reading whose caller stopped.
var errEnough = errors.New("enough")

func (k *Kafka) read(ctx context.Context, in Input, yield func(Record) bool) error {
	opts, err := k.Config.Options(k.Log)
	if err != nil {
		return err
	}
	admin, err := kgo.NewClient(opts...)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer admin.Close()
	if err := k.check(ctx, kadm.NewClient(admin), in); err != nil {
		return k.Config.Explain("", err)
	}
	t := tail{left: map[place]*Span{}}
	at := map[string]map[int32]kgo.Offset{}
	for i := range in.Spans {
		s := &in.Spans[i]
		if s.begin() == s.Next {
			continue
		}
		t.left[place{s.Topic.Name, s.Partition}] = s
		if at[s.Topic.Name] == nil {
			at[s.Topic.Name] = map[int32]kgo.Offset{}
		}
		at[s.Topic.Name][s.Partition] = kgo.NewOffset().At(s.begin())
	}
	if len(t.left) == 0 {
		return nil
	}
	cl, err := kgo.NewClient(append(opts,
		kgo.ConsumePartitions(at),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // the last offset of a span may be one
	)...)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer cl.Close()
	return k.tail(ctx, cl, &t, yield)
}

// place identifies a partition.
type place struct {
	topic     string
	partition int32
}

// tail has the spans that are not read to their ends.
type tail struct{ left map[place]*Span }

// tail polls until every span is read to its end.
func (k *Kafka) tail(ctx context.Context, cl *kgo.Client, t *tail, yield func(Record) bool) error {
	heard := time.Now()
	var trouble error
	for len(t.left) > 0 {
		waiting, cancel := context.WithTimeout(ctx, k.IdleTimeout)
		fetches := cl.PollRecords(waiting, pollRecords)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var fatal error
		fetches.EachError(func(topic string, partition int32, err error) {
			var lost *kgo.ErrDataLoss
			switch {
			case errors.Is(err, context.DeadlineExceeded):
			case errors.Is(err, kerr.OffsetOutOfRange) || errors.As(err, &lost):
				fatal = fmt.Errorf("%w: %s/%d: %w", ErrIncomplete, topic, partition, err)
			default:
				trouble = k.Config.Explain("topic "+topic, err)
			}
		})
		if fatal != nil {
			return fatal
		}
		if fetches.NumRecords() > 0 {
			heard, trouble = time.Now(), nil
		} else if time.Since(heard) >= k.IdleTimeout {
			return t.silence(k.IdleTimeout, trouble)
		} else if trouble != nil {
			select {
			case <-ctx.Done():
			case <-time.After(pollPause):
			}
		}
		for it := fetches.RecordIter(); !it.Done(); {
			if !t.take(cl, it.Next(), yield) {
				return errEnough
			}
		}
	}
	return nil
}

// take passes a record on, and ends its span if it is the last.
func (t *tail) take(cl *kgo.Client, r *kgo.Record, yield func(Record) bool) bool {
	p := place{r.Topic, r.Partition}
	s := t.left[p]
	if s == nil {
		return true
	}
	if r.Offset >= s.Next-1 {
		delete(t.left, p)
		cl.PauseFetchPartitions(map[string][]int32{r.Topic: {r.Partition}})
	}
	if r.Offset >= s.Next || r.Attrs.IsControl() {
		return true
	}
	timestamp := int64(-1)
	if r.Attrs.TimestampType() >= 0 {
		timestamp = max(timestamp, r.Timestamp.UnixMilli())
	}
	return yield(Record{
		Source: billing.Source{Topic: s.Topic.Ordinal, Partition: r.Partition, Offset: r.Offset, RecordTime: timestamp},
		Null:   r.Value == nil, Value: r.Value,
	})
}

// silence is the error of brokers that send no records.
func (t *tail) silence(idleTimeout time.Duration, trouble error) error {
	var all []string
	for p, s := range t.left {
		all = append(all, fmt.Sprintf("%s/%d up to offset %d", p.topic, p.partition, s.Next))
	}
	err := fmt.Errorf("%w: the brokers sent nothing for %s, and are to send %s: is a transaction open? wait longer with --idle-timeout",
		ErrIncomplete, idleTimeout, strings.Join(all, ", "))
	if trouble != nil {
		err = fmt.Errorf("%w: %w", err, trouble)
	}
	return err
}

// check refuses another log, and a log without all of the input.
func (k *Kafka) check(ctx context.Context, admin *kadm.Client, in Input) error {
	ctx, cancel := context.WithTimeout(ctx, k.IdleTimeout)
	defer cancel()
	ids := map[string]string{}
	var names []string
	for i := range in.Spans {
		if t := in.Spans[i].Topic; ids[t.Name] == "" {
			ids[t.Name] = t.ID
			names = append(names, t.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	meta, err := admin.Metadata(ctx, names...)
	if err != nil {
		return fmt.Errorf("ask for metadata: %w", err)
	}
	if in.Cluster != "" && meta.Cluster != in.Cluster {
		return fmt.Errorf("%w: the release was made from cluster %q, --brokers names %q", ErrOtherLog, in.Cluster, meta.Cluster)
	}
	for _, name := range names {
		t := meta.Topics[name]
		if t.Err != nil {
			return k.Config.Explain("topic "+name, t.Err)
		}
		if id := hex.EncodeToString(t.ID[:]); ids[name] != "" && t.ID != (kadm.TopicID{}) && id != ids[name] {
			return fmt.Errorf("%w: topic %s was recreated: its ID is %s, the release read %s", ErrOtherLog, name, id, ids[name])
		}
	}
	starts, err := admin.ListStartOffsets(ctx, names...)
	if err != nil {
		return fmt.Errorf("list offsets: %w", err)
	}
	ends, err := admin.ListEndOffsets(ctx, names...)
	if err != nil {
		return fmt.Errorf("list offsets: %w", err)
	}
	for i := range in.Spans {
		s := &in.Spans[i]
		start, there := starts.Lookup(s.Topic.Name, s.Partition)
		last, there2 := ends.Lookup(s.Topic.Name, s.Partition)
		switch {
		case !there || !there2:
			return fmt.Errorf("%w: %s has no partition %d any more", ErrIncomplete, s.Topic.Name, s.Partition)
		case start.Err != nil || last.Err != nil:
			return fmt.Errorf("list offsets of %s/%d: %w", s.Topic.Name, s.Partition, errors.Join(start.Err, last.Err))
		case s.begin() < s.Next && start.Offset > s.begin():
			return fmt.Errorf("%w: %s/%d begins at offset %d, the release was made from offset %d on: retention has removed what an audit needs",
				ErrIncomplete, s.Topic.Name, s.Partition, start.Offset, s.begin())
		case last.Offset < s.Next:
			return fmt.Errorf("%w: %s/%d ends at offset %d, the release had read up to %d: the log was cut short",
				ErrIncomplete, s.Topic.Name, s.Partition, last.Offset, s.Next)
		}
	}
	return nil
}
