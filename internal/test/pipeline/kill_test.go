package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/control"
	"daybook/internal/state"
)

func TestKillsChangeNoNumber(t *testing.T) {
	killsChangeNoNumber(t, broker(t, "billing", 4), "billing")
}

func TestKafkaKillsChangeNoNumber(t *testing.T) {
	addr, topic := kafka(t, 4)
	killsChangeNoNumber(t, addr, topic)
}

// killsChangeNoNumber loads a topic while ingest is killed, ten times, at
// moments that nothing announces. What is published afterwards must be what
// the log says, and no record may be counted twice or not at all.
func killsChangeNoNumber(t *testing.T, addr, topic string) {
	const kills = 10
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	p := newPlace(t, addr, topic)
	p.run(t, "ingest", "init")

	enough := make(chan struct{})
	var records int
	produced := make(chan error, 1)
	go func() { produced <- send(t.Context(), addr, topic, newLoad(seed), enough, &records) }()

	var seen int64
	for kill := 1; kill <= kills; kill++ {
		consumed := p.kill(t, kill, func(moved <-chan struct{}) {
			if kill%4 != 0 { // every fourth is killed wherever it is, starting perhaps
				<-moved
			}
			time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
		})
		if consumed < seen || consumed == seen && kill%4 != 0 {
			t.Fatalf("kill %d: the state had %d records and has %d", kill, seen, consumed)
		}
		seen = consumed
	}
	close(enough)
	if err := <-produced; err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d records were consumed between the kills", seen, records)

	p.run(t, "ingest", "run", "--until-caught-up")
	if got := delivered(t, p.state); got != int64(records) {
		t.Errorf("the state counts %d records, the log has %d", got, records)
	}
	p.run(t, "ingest", "check")
	p.run(t, "publisher", "run")

	modelTables := model(t, addr, topic, records)
	_, accounts, services := released(t, p.lake)
	agree(t, "daily_account_cost", accounts, modelTables.Accounts)
	agree(t, "account_service_day_cost", services, modelTables.Services)
	if len(modelTables.Accounts) < 100 || len(modelTables.Rejected) == 0 {
		t.Errorf("the load was poor: %d account-days, %d rejected records", len(modelTables.Accounts), len(modelTables.Rejected))
	}
}

// kill runs ingest and kills it when until returns; moved is closed once it
// consumed something. It returns how many records the state then holds.
func (p place) kill(t *testing.T, number int, until func(moved <-chan struct{})) int64 {
	t.Helper()
	run := p.command(t.Context(), "ingest", "run", "--batch-records=500")
	var stderr bytes.Buffer
	run.Stderr = &stderr
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	watching, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	moved := make(chan struct{})
	go func() {
		defer close(moved)
		if err := p.awaitProgress(watching); err != nil {
			t.Errorf("kill %d: ingest consumes nothing: %v", number, err)
		}
	}()
	until(moved)
	if err := run.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	stop()
	<-moved
	var exit *exec.ExitError
	if err := run.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("kill %d: ingest ended by itself: %v\n%s", number, err, stderr.String())
	}
	return delivered(t, p.state)
}

// awaitProgress returns when the running ingest has moved on from where it is
// first seen, or when ctx was cancelled.
func (p place) awaitProgress(ctx context.Context) error {
	first := int64(-1)
	for {
		consumed, err := p.consumed(ctx)
		switch {
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			return fmt.Errorf("%d records so far: %w", consumed, ctx.Err())
		case ctx.Err() != nil:
			return nil
		case err != nil: // it does not listen yet
		case first < 0:
			first = consumed
		case consumed > first:
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// consumed is how far the running ingest says it is.
func (p place) consumed(ctx context.Context) (n int64, err error) {
	client, err := control.Dial(ctx, p.state)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	live, err := client.Live(ctx)
	for _, l := range live.Partitions {
		n += l.NextOffset
	}
	return n, err
}

// send pushes a load, idempotently and at a pace that keeps ingest busy, until
// it is enough, and leaves the number of records in sent.
func send(ctx context.Context, brokers, topic string, l *load, enough <-chan struct{}, sent *int) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers), kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(2*time.Millisecond))
	if err != nil {
		return err
	}
	defer cl.Close()
	for {
		var burst []*kgo.Record
		for range 200 {
			value := l.record()
			// The key is not the event's id: versions of one event arrive on all partitions, in any order.
			burst = append(burst, &kgo.Record{Key: fmt.Appendf(nil, "%d", l.rng.Uint64()), Value: value})
		}
		if err := cl.ProduceSync(ctx, burst...).FirstErr(); err != nil {
			return err
		}
		*sent += len(burst)
		select {
		case <-enough:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// delivered is how many records the state says it consumed. Nothing may have it open.
func delivered(t *testing.T, dir string) int64 {
	t.Helper()
	r, err := state.OpenReader(dir, state.Options{})
	if err != nil {
		t.Fatalf("open the state: %v", err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	positions, err := r.Positions()
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	for _, p := range positions {
		if p.NextOffset-p.FirstOffset != p.Delivered+p.Control+p.Holes+p.Gaps {
			t.Errorf("partition %v: [%d, %d) is not %d delivered, %d control and %d holes",
				p.Partition, p.FirstOffset, p.NextOffset, p.Delivered, p.Control, p.Holes)
		}
		var outcomes int64
		for _, n := range p.Outcomes {
			outcomes += n
		}
		if outcomes != p.Delivered {
			t.Errorf("partition %v: outcomes sum to %d of %d delivered", p.Partition, outcomes, p.Delivered)
		}
		sum += p.Delivered
	}
	return sum
}
