package produce

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"daybook/internal/kafka"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// broker starts a cluster on loopback for the test's time.
func broker(t *testing.T, opts ...kfake.Opt) (*kfake.Cluster, kafka.Config) {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, kafka.Config{Brokers: c.ListenAddrs()}
}

// consume reads n records of a topic.
func consume(t *testing.T, c kafka.Config, topic string, n int) []*kgo.Record {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers...), kgo.ConsumeTopics(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var records []*kgo.Record
	for len(records) < n {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d of %d records: %v", len(records), n, err)
		}
		records = append(records, fetches.Records()...)
	}
	return records
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// TestLoadIntoATopic: every event arrives once, under its id, in the order of
// the file within a partition.
func TestLoadIntoATopic(t *testing.T) {
	_, config := broker(t, kfake.SeedTopics(3, "billing"))
	p, err := NewPusher(t.Context(), config, "billing", 0, quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	l := &Load{Files: []string{filepath.Join("testdata", "mapping", "seed.csv")}, Sink: p}
	sum, err := l.Run(t.Context(), testNow)
	if err != nil || sum.Pushed != 3 || p.Acked() != 3 {
		t.Fatalf("%+v, %d acknowledged, %v", sum, p.Acked(), err)
	}
	for _, r := range consume(t, config, "billing", 3) {
		if !strings.HasPrefix(string(r.Value), `{"event_id":"`+string(r.Key)+`"`) {
			t.Errorf("key %s of %s", r.Key, r.Value)
		}
	}
}

func TestGeneratedLoadArrivesWhole(t *testing.T) {
	_, config := broker(t, kfake.SeedTopics(4, "billing"))
	p, err := NewPusher(t.Context(), config, "billing", 0, quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c := testGenerator(20_000)
	n, err := Generate(t.Context(), c, p, nil)
	if err != nil || n != c.Count || p.Acked() != n {
		t.Fatalf("%d pushed, %d acknowledged, %v", n, p.Acked(), err)
	}
	want := map[string]int{}
	g := NewGenerator(c)
	for i := range c.Count {
		_, value := g.Record(i)
		want[string(value)]++
	}
	for _, r := range consume(t, config, "billing", int(n)) {
		want[string(r.Value)]--
	}
	for value, left := range want {
		if left != 0 {
			t.Fatalf("%d too few of %s", left, value)
		}
	}
}

func TestTopic(t *testing.T) {
	_, config := broker(t)
	_, err := NewPusher(t.Context(), config, "billing", 0, quiet())
	if err == nil || !strings.Contains(err.Error(), "topic billing does not exist") {
		t.Fatalf("a missing topic: %v", err)
	}
	for range 2 { // the second time it is there
		p, err := NewPusher(t.Context(), config, "billing", 5, quiet())
		if err != nil {
			t.Fatal(err)
		}
		p.Close()
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(config.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	request := kmsg.NewPtrMetadataRequest()
	response, err := request.RequestWith(t.Context(), client)
	if err != nil || len(response.Topics) != 1 || len(response.Topics[0].Partitions) != 5 {
		t.Errorf("%+v, %v", response, err)
	}
}

// TestFailureStopsTheLoad: a broker that refuses ends the load with its reason;
// nothing is claimed to have been pushed.
func TestFailureStopsTheLoad(t *testing.T) {
	cluster, config := broker(t, kfake.SeedTopics(1, "billing"))
	p, err := NewPusher(t.Context(), config, "billing", 0, quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		request := r.(*kmsg.ProduceRequest)
		response := request.ResponseKind().(*kmsg.ProduceResponse)
		for _, t := range request.Topics {
			topic := kmsg.NewProduceResponseTopic()
			topic.Topic, topic.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				partition := kmsg.NewProduceResponseTopicPartition()
				partition.Partition, partition.ErrorCode = p.Partition, kerr.TopicAuthorizationFailed.Code
				topic.Partitions = append(topic.Partitions, partition)
			}
			response.Topics = append(response.Topics, topic)
		}
		return response, nil, true
	})
	l := &Load{Files: []string{filepath.Join("testdata", "mapping", "seed.csv")}, Sink: p}
	_, err = l.Run(t.Context(), testNow)
	if !errors.Is(err, kerr.TopicAuthorizationFailed) || !strings.Contains(err.Error(), "not authorised for topic billing") {
		t.Errorf("got %v", err)
	}
	if p.Acked() != 0 {
		t.Errorf("%d acknowledged", p.Acked())
	}
}

// TestStopped: a load that is told to stop waits for what it has pushed.
func TestStopped(t *testing.T) {
	_, config := broker(t, kfake.SeedTopics(1, "billing"))
	p, err := NewPusher(t.Context(), config, "billing", 0, quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ctx, cancel := context.WithCancel(t.Context())
	c := testGenerator(0)
	c.Rate = 1e9
	n, err := Generate(ctx, c, p, func(done, _ int64) {
		if done >= 5_000 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if n < 5_000 || p.Acked() != n {
		t.Errorf("%d pushed, %d acknowledged", n, p.Acked())
	}
}
