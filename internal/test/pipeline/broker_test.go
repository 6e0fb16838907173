package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/sandbox"
	"daybook/internal/test/testkafka"
)

// broker starts an embedded broker that ends with the test and returns its address.
func broker(t *testing.T, topic string, partitions int32) string {
	t.Helper()
	b, err := sandbox.OpenBroker(sandbox.BrokerConfig{
		Topics: []sandbox.TopicSpec{{Name: topic, Partitions: partitions}},
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b.Addr()
}

// kafka makes a topic on the Apache Kafka that the tests share, and returns both names.
func kafka(t *testing.T, partitions int32) (addr, topic string) {
	t.Helper()
	addr, topic = testkafka.Shared(t), fmt.Sprintf("billing-%016x", rand.Uint64())
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	admin := kadm.NewClient(cl)
	t.Cleanup(func() {
		defer cl.Close()
		defer cancel()
		_, _ = admin.DeleteTopics(context.WithoutCancel(ctx), topic) // the broker may be someone's
	})
	if r, err := admin.CreateTopic(ctx, partitions, 1, nil, topic); err != nil || r.Err != nil {
		t.Fatal(err, r.Err)
	}
	// Brokers learn of a topic a moment after it is made.
	for {
		topics, err := admin.ListTopics(ctx, topic)
		if err != nil {
			t.Fatal(err)
		}
		if len(topics[topic].Partitions) == int(partitions) {
			return addr, topic
		}
		time.Sleep(50 * time.Millisecond)
	}
}
