package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"daybook/internal/billing"
	"daybook/internal/control"
	"daybook/internal/kafka"
	"daybook/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testTopic = "billing"

// world is a broker, a topic and a state directory.
type world struct {
	t      *testing.T
	broker *kfake.Cluster
	cfg    Config
	client *kgo.Client
}

// newWorld starts a broker with the topic of so many partitions.
func newWorld(t *testing.T, partitions int32, opts ...kfake.Opt) *world {
	t.Helper()
	broker, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.ClusterID("test-cluster")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	w := &world{t: t, broker: broker}
	w.cfg = Config{Kafka: kafka.Config{Brokers: broker.ListenAddrs()}, State: filepath.Join(t.TempDir(), "state"), Topics: []string{testTopic}, Tuning: DefaultTuning()}
	w.cfg.Linger, w.cfg.EvidenceInterval = 20*time.Millisecond, 50*time.Millisecond
	w.client = w.newClient(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if partitions > 0 {
		w.createTopic(testTopic, partitions)
	}
	return w
}

func (w *world) newClient(opts ...kgo.Opt) *kgo.Client {
	w.t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(w.broker.ListenAddrs()...)}, opts...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(cl.Close)
	return cl
}

func (w *world) admin() *kadm.Client { return kadm.NewClient(w.client) }

func (w *world) createTopic(name string, partitions int32) {
	w.t.Helper()
	if _, err := w.admin().CreateTopic(context.Background(), partitions, 1, nil, name); err != nil {
		w.t.Fatal(err)
	}
}

// event is a record's value.
func event(id, account, day, cost string) string {
	return fmt.Sprintf(`{"event_id":%q,"account_id":%q,"service_name":"compute","usage_date":%q,"cost_usd":%s,"ingested_at":"2025-01-02T00:00:00Z"}`, id, account, day, cost)
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
		rs = append(rs, &kgo.Record{Topic: testTopic, Partition: partition, Value: []byte(v)})
	}
	if err := cl.ProduceSync(context.Background(), rs...).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) deps() Deps { return Deps{Log: slog.New(slog.NewTextHandler(w.t.Output(), nil))} }

func (w *world) init() state.Identity {
	w.t.Helper()
	id, err := Init(context.Background(), w.cfg, RulesConfig{}, w.deps())
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// open makes an Ingester.
func (w *world) open(opts RunOptions) *Ingester {
	w.t.Helper()
	if opts.Patience == 0 {
		opts.Patience = 20 * time.Second
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

func (w *world) positions() []state.Position {
	w.t.Helper()
	var ps []state.Position
	w.read(func(r *state.Reader) {
		var err error
		if ps, err = r.Positions(); err != nil {
			w.t.Fatal(err)
		}
	})
	return ps
}

// eventually waits until ok holds.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for start := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > 20*time.Second {
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

func TestConsumeAndRestart(t *testing.T) {
	w := newWorld(t, 2)
	w.init()
	w.push(0, event("e1", "a", "2025-01-01", "10.0"), event("e2", "a", "2025-01-01", "5.0"))
	w.push(1, event("e3", "b", "2025-01-01", "7.0"), `{"event_id":"broken"`)
	w.mustCatchUp()
	equal(t, w.totals(), map[string]string{"a 2025-01-01": "15", "b 2025-01-01": "7"})

	w.push(0, event("e2", "a", "2025-01-01", "5.0")) // a copy
	w.push(1, strings.Replace(event("e3", "b", "2025-01-01", "8.5"), "2025-01-02T", "2025-01-03T", 1))
	w.mustCatchUp()
	equal(t, w.totals(), map[string]string{"a 2025-01-01": "15", "b 2025-01-01": "8.5"})
	for _, p := range w.positions() {
		if p.NextOffset != 3 || p.Delivered != 3 || p.Holes != 0 || p.CaughtUpAt.IsZero() {
			t.Errorf("position %+v, want 3 delivered and caught up", p)
		}
	}
	// What is read is mirrored for lag tools.
	offsets, err := w.admin().FetchOffsets(context.Background(), "daybook-ingest")
	if o, ok := offsets.Lookup(testTopic, 1); err != nil || !ok || o.At != 3 {
		t.Errorf("mirrored: %+v %v, want 3", o, err)
	}
}

func TestFollowsAndAnswersWhileItRuns(t *testing.T) {
	w := newWorld(t, 1)
	w.init()
	g, stop := w.follow(RunOptions{})
	w.eventually("ready", func() bool { return g.Ready() == nil })
	w.push(0, event("e1", "a", "2025-01-01", "10"), "nonsense")

	ctx := context.Background()
	c, err := control.Dial(ctx, w.cfg.State)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var s control.Status
	w.eventually("two records", func() bool {
		s, err = c.Status(ctx)
		return err == nil && len(s.Partitions) == 1 && s.Partitions[0].NextOffset == 2 && s.Partitions[0].LagRecords == 0
	})
	if !s.Running || !s.Ready || len(s.Quarantine) != 1 || s.Quarantine[0].Records != 1 || len(s.Tenants) != 1 || s.Tenants[0].Dirty != 1 {
		t.Errorf("status %+v", s)
	}

	reply, err := c.Checkpoint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r, err := state.OpenReader(reply.Dir, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Head().Sequence != reply.Sequence {
		t.Errorf("checkpoint is at %d, said %d", r.Head().Sequence, reply.Sequence)
	}
	if err := errors.Join(r.Close(), c.DropCheckpoint(ctx, reply.ID)); err != nil {
		t.Fatal(err)
	}
	if err := c.DropCheckpoint(ctx, "../../db"); !errors.Is(err, control.ErrUnknownCheckpoint) {
		t.Errorf("a path as an id: %v", err)
	}
	if _, err := c.Decide(ctx, state.Decision{Kind: state.GapAccepted, From: 2, Next: 9}); err == nil {
		t.Error("a running ingest accepted a gap")
	}
	if _, err := New(w.cfg, RulesConfig{}, RunOptions{}, w.deps()); !errors.Is(err, state.ErrLocked) {
		t.Errorf("a second ingest: %v, want ErrLocked", err)
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestIdleTopicIsCaughtUpAgainAndAgain(t *testing.T) {
	w := newWorld(t, 3)
	w.init()
	g, stop := w.follow(RunOptions{})
	begin := time.Now()
	w.eventually("evidence from after the start", func() bool { return g.board.caughtUpSince(begin) })
	later := time.Now()
	w.eventually("newer evidence", func() bool { return g.board.caughtUpSince(later) })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for _, p := range w.positions() {
		if p.CaughtUpAt.Before(later) || p.CaughtUpAt.After(time.Now()) {
			t.Errorf("partition %d caught up at %v, want after %v", p.Partition.Partition, p.CaughtUpAt, later)
		}
	}
}

func TestAddedPartitionsAreReadFromTheirStart(t *testing.T) {
	w := newWorld(t, 1)
	w.init()
	g, stop := w.follow(RunOptions{})
	w.eventually("ready", func() bool { return g.Ready() == nil })
	if _, err := w.admin().CreatePartitions(context.Background(), 2, testTopic); err != nil {
		t.Fatal(err)
	}
	w.push(2, event("e1", "a", "2025-01-01", "1"), event("e2", "a", "2025-01-01", "2"))
	w.eventually("the new partition's records", func() bool {
		next, _ := g.board.place(state.PartitionID{Partition: 2})
		return next == 2
	})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	equal(t, w.totals(), map[string]string{"a 2025-01-01": "3"})
	if n := len(w.positions()); n != 3 {
		t.Errorf("%d positions, want 3", n)
	}
}
