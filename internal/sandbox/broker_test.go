package sandbox

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var quiet = slog.New(slog.DiscardHandler)

// open starts a broker that ends with the test.
func open(t *testing.T, c BrokerConfig) *Broker {
	t.Helper()
	b, err := OpenBroker(c, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestBrokerKeepsWhatItAcknowledged(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c := BrokerConfig{Data: t.TempDir(), Topics: []TopicSpec{{"billing", 2}, {"other", 1}}, Sync: true}
	b := open(t, c)
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.DefaultProduceTopic("billing"))
	if err != nil {
		t.Fatal(err)
	}
	r := &kgo.Record{Key: []byte("k"), Value: []byte("v")}
	if err := client.ProduceSync(ctx, r).FirstErr(); err != nil {
		t.Fatal(err)
	}
	client.Close()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}

	// Another start keeps what is there, also the number of partitions, and adds what is new.
	c.Topics = []TopicSpec{{"billing", 5}, {"more", 3}}
	b = open(t, c)
	if got := b.Topics(); len(got) != 2 || got[0] != (TopicSpec{"billing", 2}) || got[1] != (TopicSpec{"more", 3}) {
		t.Errorf("topics %v", got)
	}
	client, err = kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.ConsumeTopics("billing"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	records := client.PollFetches(ctx).Records()
	if len(records) != 1 || string(records[0].Value) != "v" {
		t.Fatalf("records %v", records)
	}
}

func TestBrokerLocksItsData(t *testing.T) {
	dir := t.TempDir()
	b := open(t, BrokerConfig{Data: dir})
	if _, err := OpenBroker(BrokerConfig{Data: dir}, quiet); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "--data") {
		t.Fatalf("second broker on the directory: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, BrokerConfig{Data: dir})
}

func TestBrokerPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", Loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	dir := t.TempDir()
	port := l.Addr().(*net.TCPAddr).Port
	if _, err := OpenBroker(BrokerConfig{Port: port, Data: dir}, quiet); err == nil || !strings.Contains(err.Error(), "--port") {
		t.Fatalf("port in use: %v", err)
	}
	open(t, BrokerConfig{Data: dir}) // the directory was given back
}

func TestTopicSpec(t *testing.T) {
	f := func(text string, want TopicSpec, ok bool) {
		t.Helper()
		var got TopicSpec
		if err := got.UnmarshalText([]byte(text)); (err == nil) != ok || ok && got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	f("billing", TopicSpec{"billing", DefaultPartitions}, true)
	f("a.b_c-D9:12", TopicSpec{"a.b_c-D9", 12}, true)
	f("", TopicSpec{}, false)
	f(":3", TopicSpec{}, false)
	f("a:0", TopicSpec{}, false)
	f("a:x", TopicSpec{}, false)
	f("a:1001", TopicSpec{}, false)
	f("a/b", TopicSpec{}, false)
	f("..", TopicSpec{}, false)
	f(strings.Repeat("a", 250), TopicSpec{}, false)
}

func TestBrokerConfigValidate(t *testing.T) {
	c := BrokerConfig{Port: 70000, Topics: []TopicSpec{{"a", 1}, {"a", 2}}}
	err := c.Validate()
	if err == nil || !strings.Contains(err.Error(), "--port 70000") || !strings.Contains(err.Error(), "--topic a is given twice") {
		t.Errorf("Validate: %v", err)
	}
}
