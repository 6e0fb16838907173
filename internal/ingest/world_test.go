package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/billing"
	"daybook/internal/clock"
	"daybook/internal/kafka"
	"daybook/internal/state"
	"daybook/internal/test/testkafka"
)

// world is a cluster, a topic and a state directory. The cluster is kfake or an
// Apache Kafka; what a test does by Kafka's own protocol it does to both.
type world struct {
	t       *testing.T
	broker  *kfake.Cluster // nil: an Apache Kafka
	addrs   []string       // where the test's own clients go
	secrets []kgo.Opt      // and how they say who they are
	topic   string
	cfg     Config
	client  *kgo.Client
	waits   time.Duration // how long something may take
	soon    bool          // ingest's clients try again at once
	later   *atomic.Int64 // how much time seems to have passed besides, in nanoseconds
	ahead   *atomic.Int64 // how far ingest's wall clock is ahead of time, in nanoseconds
	log     *logged
}

// newWorld starts kfake with the topic of so many partitions.
func newWorld(t *testing.T, partitions int32, opts ...kfake.Opt) *world {
	t.Helper()
	return fakeWorld(t, nil, partitions, opts...)
}

// fakeWorld is newWorld where the tests' own clients must say who they are.
func fakeWorld(t *testing.T, secrets []kgo.Opt, partitions int32, opts ...kfake.Opt) *world {
	t.Helper()
	broker, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.ClusterID("test-cluster")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	w := &world{t: t, log: &logged{}, later: new(atomic.Int64), ahead: new(atomic.Int64), broker: broker, addrs: broker.ListenAddrs(), secrets: secrets, topic: "billing", waits: 20 * time.Second}
	return w.settle(partitions)
}

// newKafkaWorld is on the Apache Kafka that the tests share, with a topic of its own.
func newKafkaWorld(t *testing.T, partitions int32) *world {
	t.Helper()
	w := kafkaWorld(t, []string{testkafka.Shared(t)}, partitions)
	t.Cleanup(func() { _, _ = w.admin().DeleteTopics(w.within(), w.topic) }) // it may be someone's
	return w
}

// kafkaWorld is on an Apache Kafka, with a topic of its own.
func kafkaWorld(t *testing.T, addrs []string, partitions int32) *world {
	t.Helper()
	w := &world{t: t, log: &logged{}, later: new(atomic.Int64), ahead: new(atomic.Int64), addrs: addrs, topic: fmt.Sprintf("billing-%016x", rand.Uint64()), waits: time.Minute}
	return w.settle(partitions)
}

// settle makes the rest of a world that has a cluster.
func (w *world) settle(partitions int32) *world {
	w.t.Helper()
	w.cfg = Config{Kafka: kafka.Config{Brokers: w.addrs}, State: filepath.Join(w.t.TempDir(), "state"), Topics: []string{w.topic}, Tuning: DefaultTuning()}
	w.cfg.Linger, w.cfg.WatermarkInterval = 20*time.Millisecond, 50*time.Millisecond
	w.client = w.newClient(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if partitions > 0 {
		w.createTopic(w.topic, partitions)
	}
	return w
}

func (w *world) newClient(opts ...kgo.Opt) *kgo.Client {
	w.t.Helper()
	opts = append(append([]kgo.Opt{kgo.SeedBrokers(w.addrs...)}, w.secrets...), opts...)
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(cl.Close)
	return cl
}

func (w *world) admin() *kadm.Client { return kadm.NewClient(w.client) }

// within is a context for one step of a test. It is not cancelled with the test, whose cleanup needs it.
func (w *world) within() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), w.waits)
	time.AfterFunc(w.waits, cancel)
	return ctx
}

func (w *world) createTopic(name string, partitions int32) {
	w.t.Helper()
	r, err := w.admin().CreateTopic(w.within(), partitions, 1, nil, name)
	if err = errors.Join(err, r.Err); err != nil {
		w.t.Fatal(err)
	}
	// Brokers learn of a topic a moment after it is made.
	w.eventually("topic "+name, func() bool {
		topics, err := w.admin().ListTopics(w.within(), name)
		return err == nil && topics[name].Err == nil && len(topics[name].Partitions) == int(partitions)
	})
}

// event is a record's value.
func event(id, account, day, cost string) string {
	return fmt.Sprintf(`{"event_id":%q,"account_id":%q,"service_name":"compute","usage_date":%q,"cost_usd":%s,"ingested_at":"2025-01-02T00:00:00Z"}`, id, account, day, cost)
}

// events are n different events of one account-day, of 1 USD each.
func events(from, n int) []string {
	var all []string
	for i := range n {
		all = append(all, event(fmt.Sprintf("e%d", from+i), "a", "2025-01-01", "1"))
	}
	return all
}

// push produces values to a partition.
func (w *world) push(partition int32, values ...string) {
	w.t.Helper()
	w.pushBy(w.client, partition, values...)
}

func (w *world) pushBy(cl *kgo.Client, partition int32, values ...string) {
	w.t.Helper()
	var rs []*kgo.Record
	for _, v := range values {
		rs = append(rs, &kgo.Record{Partition: partition, Value: []byte(v)})
	}
	w.pushRecords(cl, rs...)
}

func (w *world) pushRecords(cl *kgo.Client, rs ...*kgo.Record) {
	w.t.Helper()
	for _, r := range rs {
		r.Topic = w.topic
	}
	if err := cl.ProduceSync(w.within(), rs...).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

// logged is what ingest logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write takes what a handler writes.
func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// has reports whether one line has all the words.
func (l *logged) has(words ...string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			return true
		}
	}
	return false
}

func (w *world) deps() Deps {
	d := Deps{
		Log: slog.New(slog.NewTextHandler(io.MultiWriter(w.t.Output(), w.log), nil)),
		Now: func() time.Time { return time.Now().Add(time.Duration(w.later.Load() + w.ahead.Load())) },
	}
	d.Clock = func() clock.Reading {
		r := clock.At(d.Now)
		r.Uptime += time.Duration(w.later.Load())
		return r
	}
	if w.soon {
		d.Kafka = append(d.Kafka, kgo.RetryBackoffFn(func(int) time.Duration { return 5 * time.Millisecond }), kgo.MetadataMinAge(10*time.Millisecond))
	}
	return d
}

func (w *world) init() state.Identity {
	w.t.Helper()
	id, err := Init(w.within(), w.cfg, RulesConfig{}, w.deps())
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// open makes an Ingester.
func (w *world) open(opts RunOptions) *Ingester {
	w.t.Helper()
	if opts.IdleTimeout == 0 {
		opts.IdleTimeout = w.waits
	}
	g, err := New(w.cfg, RulesConfig{}, opts, w.deps())
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

// catchUp runs until caught up and returns what Run returned.
func (w *world) catchUp(opts RunOptions) error {
	w.t.Helper()
	opts.UntilCaughtUp = true
	g := w.open(opts)
	err := g.Run(context.Background())
	if cerr := g.Close(); cerr != nil {
		w.t.Fatal(cerr)
	}
	return err
}

func (w *world) mustCatchUp() {
	w.t.Helper()
	if err := w.catchUp(RunOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

// follow runs in the background until the function it returns is called.
func (w *world) follow(opts RunOptions) (g *Ingester, stop func() error) {
	w.t.Helper()
	g = w.open(opts)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return errors.Join(<-done, g.Close())
	}
	w.t.Cleanup(func() { _ = stop() })
	return g, stop
}

// stops waits for an ingest that is to stop by itself, and returns why it did.
func (w *world) stops(g *Ingester) error {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), w.waits)
	defer cancel()
	err := g.Run(ctx)
	if ctx.Err() != nil {
		w.t.Fatal("ingest goes on as if nothing had happened")
	}
	return err
}

// reaches waits until everything before next is durable.
func (w *world) reaches(g *Ingester, partition int32, next int64) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("offset %d of partition %d", next, partition), func() bool {
		n, _ := g.tracker.place(state.PartitionID{Partition: partition})
		return n == next
	})
}

// read opens the state that no ingest runs on.
func (w *world) read(f func(r *state.Reader)) {
	w.t.Helper()
	r, err := state.OpenReader(w.cfg.State, state.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	f(r)
	faults, err := r.Check(nil)
	if err != nil || len(faults) > 0 {
		w.t.Errorf("check: %v %v", faults, err)
	}
	if err := r.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// totals are the sums per account-day, as "account day" → total.
func (w *world) totals() map[string]string {
	w.t.Helper()
	totals := map[string]string{}
	w.read(func(r *state.Reader) {
		for m, err := range r.Markers(billing.DefaultTenant, -1<<30, 1<<30) {
			if err != nil {
				w.t.Fatal(err)
			}
			var sum billing.Money
			for e, err := range r.Events(billing.DefaultTenant, m.AccountDay.Day, "", "") {
				if err != nil {
					w.t.Fatal(err)
				}
				if e.Account == m.AccountDay.Account {
					sum, _ = sum.Add(e.Cost)
				}
			}
			totals[string(m.AccountDay.Account)+" "+m.AccountDay.Day.String()] = sum.String()
		}
	})
	return totals
}

// positions reads the positions and holds each against the conservation law.
func (w *world) positions() []state.Position {
	w.t.Helper()
	var ps []state.Position
	w.read(func(r *state.Reader) {
		var err error
		if ps, err = r.Positions(); err != nil {
			w.t.Fatal(err)
		}
	})
	for _, p := range ps {
		var outcomes int64
		for _, n := range p.Outcomes {
			outcomes += n
		}
		if p.NextOffset-p.FirstOffset != p.Delivered+p.Control+p.Holes+p.Gaps || p.Delivered != outcomes {
			w.t.Errorf("not conserved, with %d outcomes: %+v", outcomes, p)
		}
	}
	return ps
}

// eventually waits until ok holds.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for start := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > w.waits {
			w.t.Fatalf("never came: %s", what)
		}
	}
}

func equal(t *testing.T, got, want map[string]string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// mustStop fails unless err is a Stop for the cause.
func mustStop(t *testing.T, err, cause error) {
	t.Helper()
	if _, ok := errors.AsType[*Stop](err); !ok || !errors.Is(err, cause) {
		t.Errorf("got %v, want a stop: %v", err, cause)
	}
}
