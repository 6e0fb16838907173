package audit

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/kafka"
	"daybook/internal/lake"
)

const testTopic = "billing"

// cluster is a broker with one topic of two partitions, and what reads it.
type cluster struct {
	t      *testing.T
	client *kgo.Client
	admin  *kadm.Client
	kafka  *Kafka
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, testTopic), kfake.ClusterID("cluster"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &cluster{
		t: t, client: client, admin: kadm.NewClient(client),
		kafka: &Kafka{Config: kafka.Config{Brokers: broker.ListenAddrs()}, IdleTimeout: 500 * time.Millisecond, Log: slog.New(slog.DiscardHandler)},
	}
}

// produce appends values to a partition; "" is a tombstone.
func (c *cluster) produce(partition int32, values ...string) {
	c.t.Helper()
	for _, v := range values {
		r := &kgo.Record{Topic: testTopic, Partition: partition, Timestamp: time.UnixMilli(1736337600000), Value: []byte(v)}
		if v == "" {
			r.Value = nil
		}
		if err := c.client.ProduceSync(c.t.Context(), r).FirstErr(); err != nil {
			c.t.Fatal(err)
		}
	}
}

// span is offsets [from, next) of a partition.
func span(partition int32, from, next int64) Span {
	return Span{Topic: lake.Topic{Name: testTopic, Ordinal: 4}, Partition: partition, From: from, Next: next}
}

// read reads spans into "partition/offset value".
func (c *cluster) read(spans ...Span) ([]string, error) {
	var got []string
	for r, err := range c.kafka.Read(c.t.Context(), Input{Cluster: "cluster", Spans: spans}) {
		if err != nil {
			return got, err
		}
		if r.Source.Topic != 4 || r.Source.RecordTime != 1736337600000 || r.Null != (r.Value == nil) {
			c.t.Errorf("record %+v", r)
		}
		got = append(got, fmt.Sprintf("%d/%d %s", r.Source.Partition, r.Source.Offset, r.Value))
	}
	slices.Sort(got)
	return got, nil
}

// want reads spans and expects records.
func (c *cluster) want(records []string, spans ...Span) {
	c.t.Helper()
	got, err := c.read(spans...)
	if err != nil || !slices.Equal(got, records) {
		c.t.Errorf("read %q, %v; want %q", got, err, records)
	}
}

// refused reads spans and expects an error that says so.
func (c *cluster) refused(target error, says string, spans ...Span) {
	c.t.Helper()
	_, err := c.read(spans...)
	if err == nil || target != nil && !errors.Is(err, target) || !strings.Contains(err.Error(), says) {
		c.t.Errorf("error %v, want %q", err, says)
	}
}

func TestReadsExactlyTheInput(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.produce(0, "a", "b", "", "d", "after")
	c.produce(1, "x", "after")
	c.want([]string{"0/0 a", "0/1 b", "0/2 ", "0/3 d", "1/0 x"}, span(0, 0, 4), span(1, 0, 1))
	c.want([]string{"0/1 b"}, span(0, 1, 2), span(1, 1, 1))
	c.want(nil, span(1, 0, 0))
	c.want(nil)
}

func TestRefusesAnotherLog(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.produce(0, "a", "b", "c")
	for _, err := range c.kafka.Read(t.Context(), Input{Cluster: "others", Spans: []Span{span(0, 0, 1)}}) {
		if !errors.Is(err, ErrOtherLog) || !strings.Contains(err.Error(), `from cluster "others", --brokers names "cluster"`) {
			t.Errorf("another cluster: %v", err)
		}
	}
	other := span(0, 0, 1)
	other.Topic.ID = strings.Repeat("ab", 16)
	c.refused(ErrOtherLog, "was recreated", other)
	missing := span(0, 0, 1)
	missing.Topic.Name = "nothing"
	c.refused(nil, "topic nothing does not exist", missing)
	c.refused(ErrIncomplete, "has no partition 7", span(7, 0, 1))
	c.refused(ErrIncomplete, "billing/0 ends at offset 3, the release had read up to 9", span(0, 0, 9))

	if _, err := c.admin.DeleteRecords(t.Context(), kadm.Offsets{testTopic: {0: {Topic: testTopic, Partition: 0, At: 2}}}); err != nil {
		t.Fatal(err)
	}
	c.refused(ErrIncomplete, "billing/0 begins at offset 2, the release was made from offset 0 on", span(0, 0, 3))
	// What was accepted as a gap is not needed.
	gap := span(0, 0, 3)
	gap.Gaps = []lake.Gap{{FromOffset: 1, NextOffset: 2}, {FromOffset: 0, NextOffset: 1}}
	c.want([]string{"0/2 c"}, gap)

	gone := *c.kafka
	gone.Config.Brokers = []string{"127.0.0.1:1"}
	c.kafka = &gone
	c.refused(nil, "127.0.0.1:1", span(0, 0, 1))
}

// An aborted transaction's records are none; one that is left open holds the rest back.
func TestReadsCommittedTransactions(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	tx, err := kgo.NewClient(kgo.SeedBrokers(c.kafka.Config.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID("tx"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tx.Close)
	produce := func(value string) {
		t.Helper()
		r := &kgo.Record{Topic: testTopic, Timestamp: time.UnixMilli(1736337600000), Value: []byte(value)}
		if err := errors.Join(tx.BeginTransaction(), tx.ProduceSync(t.Context(), r).FirstErr()); err != nil {
			t.Fatal(err)
		}
	}
	end := func(commit kgo.TransactionEndTry) {
		t.Helper()
		if err := tx.EndTransaction(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
	}
	produce("a")
	end(kgo.TryCommit)
	produce("b")
	end(kgo.TryAbort)
	c.want([]string{"0/0 a"}, span(0, 0, 4)) // a, commit, b, abort
	produce("c")
	c.refused(ErrIncomplete, "the brokers sent nothing for 500ms, and are to send billing/0 up to offset 5: is a transaction open?", span(0, 0, 5))
	end(kgo.TryCommit)
	c.want([]string{"0/0 a", "0/4 c"}, span(0, 0, 5))
}
