package main

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/test/scripttest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"produce": main})
}

// TestScripts runs every script of testdata/script against the program, each
// with a broker of its own at $BROKER that has the topic "billing", and one at
// $SECURED that asks user anna for her password.
func TestScripts(t *testing.T) {
	scripttest.Run(t, map[string]scripttest.Command{"topic": topic}, func(e *testscript.Env) error {
		for name, opts := range map[string][]kfake.Opt{
			"BROKER":  {kfake.SeedTopics(2, "billing")},
			"SECURED": {kfake.SeedTopics(2, "billing"), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "anna", "right")},
		} {
			cluster, err := kfake.NewCluster(append(opts, kfake.NumBrokers(1))...)
			if err != nil {
				return err
			}
			e.Defer(cluster.Close)
			e.Setenv(name, cluster.ListenAddrs()[0])
		}
		return nil
	})
}

// topic NAME COUNT FILE reads COUNT records of a topic from $BROKER and writes
// their values to FILE, sorted.
func topic(ts *testscript.TestScript, _ bool, args []string) {
	count, err := strconv.Atoi(args[1])
	ts.Check(err)
	client, err := kgo.NewClient(kgo.SeedBrokers(ts.Getenv("BROKER")), kgo.ConsumeTopics(args[0]))
	ts.Check(err)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var values []string
	for len(values) < count {
		fetches := client.PollFetches(ctx)
		ts.Check(fetches.Err())
		for _, r := range fetches.Records() {
			values = append(values, string(r.Value))
		}
	}
	slices.Sort(values)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(strings.Join(values, "\n")+"\n"), 0o600))
}
