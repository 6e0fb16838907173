package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/billing"
	"daybook/internal/decode"
)

// ceilingEnv makes the test binary the program that consumes and decodes and does
// nothing else: what no ingest on this machine can exceed. Its value is
// "BROKERS TOPIC RECORDS".
const ceilingEnv = "DAYBOOK_BENCH_CEILING"

// ceiling measures consuming and strict decoding of the whole topic, with larger fetches than
// ingest's and its way to share decoding out.
func (s *site) ceiling() usage {
	s.t.Helper()
	c := exec.CommandContext(s.t.Context(), os.Args[0])
	c.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d", ceilingEnv, s.brokers, s.topic, s.records))
	return measure(s.t, c)
}

// ceiling is that program.
func ceiling(job string) error {
	var brokers, topic string
	var total int64
	if _, err := fmt.Sscan(job, &brokers, &topic, &total); err != nil {
		return fmt.Errorf("read %s: %w", ceilingEnv, err)
	}
	cl, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(brokers, ",")...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxBytes(32<<20), kgo.FetchMaxPartitionBytes(8<<20), kgo.MaxConcurrentFetches(2),
	)
	if err != nil {
		return err
	}
	defer cl.Close()
	decoders := make([]*decode.Decoder, runtime.GOMAXPROCS(0))
	for i := range decoders {
		decoders[i] = decode.New(billing.DefaultRules())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	var rejected [64]int
	for got := int64(0); got < total; {
		fetches := cl.PollRecords(ctx, 20_000)
		if err := fetches.Err0(); err != nil {
			return fmt.Errorf("read %s after %d of %d records: %w", topic, got, total, err)
		}
		records := fetches.Records()
		got += int64(len(records))
		var work sync.WaitGroup
		for i, d := range decoders {
			part := records[len(records)*i/len(decoders) : len(records)*(i+1)/len(decoders)]
			work.Go(func() {
				var e billing.Event
				for _, r := range part {
					source := billing.Source{Partition: r.Partition, Offset: r.Offset, RecordTime: r.Timestamp.UnixMilli()}
					if _, rejection := d.Decode(decode.Record{Topic: topic, Source: source, Value: r.Value}, &e); rejection != nil {
						rejected[i%len(rejected)]++
					}
				}
			})
		}
		work.Wait()
	}
	for _, n := range rejected {
		if n > 0 {
			return fmt.Errorf("%d records of the load were rejected", n)
		}
	}
	return nil
}
