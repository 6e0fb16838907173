package main

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/test/scripttest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ingest": main})
}

// worldKey is under which a script's broker is found.
type worldKey struct{}

// world is a script's broker and a client of it.
type world struct {
	broker *kfake.Cluster
	client *kgo.Client
}

// TestScripts runs every script of testdata/script against the program, each with a broker of its own
// that has the topic "billing" of two partitions.
func TestScripts(t *testing.T) {
	scripttest.Run(t, map[string]scripttest.Command{"push": push, "trim": trim, "drop": drop, "create": create}, func(e *testscript.Env) error {
		w := &world{}
		var err error
		w.broker, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID("the-cluster"), kfake.SeedTopics(2, "billing"))
		if err != nil {
			return err
		}
		e.Defer(w.broker.Close)
		w.client, err = kgo.NewClient(kgo.SeedBrokers(w.broker.ListenAddrs()...))
		if err != nil {
			return err
		}
		e.Defer(w.client.Close)
		locked, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "clerk", "right"), kfake.SeedTopics(1, "billing"))
		if err != nil {
			return err
		}
		e.Defer(locked.Close)
		e.Values[worldKey{}] = w
		e.Setenv("USER", "clerk")
		e.Setenv("DAYBOOK_BROKERS", w.broker.ListenAddrs()[0])
		e.Setenv("LOCKED_BROKER", locked.ListenAddrs()[0])
		e.Setenv("DAYBOOK_STATE", e.WorkDir+"/state")
		e.Setenv("DAYBOOK_MONITOR", "")
		e.Setenv("DAYBOOK_WATERMARK_INTERVAL", "100ms")
		e.Setenv("DAYBOOK_LINGER", "20ms")
		return nil
	})
}

// of is the script's world.
func of(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// push PARTITION FILE [TOPIC] produces each line of a file as a record.
func push(ts *testscript.TestScript, _ bool, args []string) {
	partition, err := strconv.Atoi(args[0])
	ts.Check(err)
	topic := "billing"
	if len(args) > 2 {
		topic = args[2]
	}
	// A client of its own: one that knew a deleted topic goes on asking for that.
	cl, err := kgo.NewClient(kgo.SeedBrokers(of(ts).broker.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	ts.Check(err)
	defer cl.Close()
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		rec := &kgo.Record{Topic: topic, Partition: int32(partition), Value: []byte(strings.TrimSuffix(line, "\n"))}
		ts.Check(cl.ProduceSync(context.Background(), rec).FirstErr())
	}
}

// trim PARTITION OFFSET deletes the records before an offset.
func trim(ts *testscript.TestScript, _ bool, args []string) {
	partition, err := strconv.Atoi(args[0])
	ts.Check(err)
	offset, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	offsets := kadm.Offsets{}
	offsets.AddOffset("billing", int32(partition), offset, -1)
	_, err = kadm.NewClient(of(ts).client).DeleteRecords(context.Background(), offsets)
	ts.Check(err)
}

// drop TOPIC deletes a topic.
func drop(ts *testscript.TestScript, _ bool, args []string) {
	_, err := kadm.NewClient(of(ts).client).DeleteTopics(context.Background(), args...)
	ts.Check(err)
}

// create TOPIC PARTITIONS makes a topic.
func create(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	_, err = kadm.NewClient(of(ts).client).CreateTopic(context.Background(), int32(n), 1, nil, args[0])
	ts.Check(err)
}
