package pipeline

import (
	"log/slog"
	"testing"

	"daybook/internal/sandbox"
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
