package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"daybook/internal/billing"
	"daybook/internal/clock"
	"daybook/internal/control"
	"daybook/internal/state"
	"daybook/internal/statedir"
)

// Deps are the dependencies of an Ingester. The zero value uses the real ones.
type Deps struct {
	Log     *slog.Logger          // default: none
	Now     func() time.Time      // default: time.Now
	Clock   func() clock.Reading  // default: the machine's, with Now for its wall clock
	Metrics prometheus.Registerer // default: none
	State   state.Options         // Logger, Now and Metrics are filled in from above
	Kafka   []kgo.Opt             // added to the clients' options
	// Progress is called from time to time with the number of durable offsets and the total (0: unknown). Default: not
	// called.
	Progress func(done, total int64)
	// Listen serves the control socket of the state directory until ctx ends. Default: control.Listen.
	Listen func(ctx context.Context, dir string, h control.Handler) error
}

// progressInterval is the interval of calls of Deps.Progress.
const progressInterval = 250 * time.Millisecond

// withDefaults sets the defaults of unset fields.
func (d Deps) withDefaults() Deps {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Clock == nil {
		d.Clock = func() clock.Reading { return clock.At(d.Now) }
	}
	if d.Progress == nil {
		d.Progress = func(int64, int64) {}
	}
	if d.Listen == nil {
		d.Listen = control.Listen
	}
	if d.State.FS == nil {
		d.State.FS = vfs.Default
	}
	d.State.Logger, d.State.Now, d.State.Metrics = d.Log, d.Now, d.Metrics
	return d
}

// RunOptions are the options of a run.
type RunOptions struct {
	UntilCaughtUp bool          `help:"Exit 0 once everything that was in the topics at the start is durable."`
	IdleTimeout   time.Duration `help:"With --until-caught-up: exit 3 after this time without progress." default:"5m"`
	AcceptGap     bool          `help:"Go on although records are gone from the log; a decision, the days they may touch stay incomplete for good."`
	Who           string        `help:"Who decides, for the record of decisions." env:"USER" default:"unknown"`
	Why           string        `help:"Why, for the record of decisions." default:"--accept-gap"`
}

// Ingester consumes topics into one state. New creates it; it runs once and must be closed.
type Ingester struct {
	cfg       Config
	opts      RunOptions
	deps      Deps
	store     *state.Store
	identity  state.Identity
	tracker   *partitionTracker
	metrics   *metrics
	copies    *statedir.Checkpoints
	throttled *throttledLogger
	until     map[state.PartitionID]int64 // read up to these offsets; nil: without end
	bulk      *state.BulkLoad             // nil: batches are written one by one

	outcomes   [billing.OutcomeCount]int64   // of this run; apply's until it has ended
	progressed atomic.Pointer[clock.Reading] // when records were last written
}

// New opens the state and checks that it has the configured topics and rules. It does not connect to Kafka. Zero
// rules mean the rules of the state.
func New(cfg Config, rules RulesConfig, opts RunOptions, deps Deps) (*Ingester, error) {
	deps = deps.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	store, err := statedir.Open(context.Background(), cfg.State, deps.State)
	if err != nil {
		return nil, err
	}
	g := &Ingester{cfg: cfg, opts: opts, deps: deps, store: store, throttled: newThrottledLogger(deps.Log, deps.Now)}
	if err := g.load(rules); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return g, nil
}

// load reads the identity of the state and compares it with the configuration.
func (g *Ingester) load(rules RulesConfig) error {
	if err := g.remember(); err != nil {
		return err
	}
	if err := sameTopics(g.identity, g.cfg.Topics); err != nil {
		return err
	}
	if err := rules.check(g.identity.Rules); err != nil {
		return err
	}
	if err := g.withdrawDoubtful(); err != nil {
		return err
	}
	var err error
	g.copies, err = statedir.NewCheckpoints(g.cfg.State, g.store, g.cfg.CheckpointMaxAge, g.deps.State)
	return err
}

// withdrawDoubtful removes the evidence of being caught up that this run's clock does not confirm, such as that of a
// clock that was ahead and was set right: once real time reaches it, it would look like any other.
func (g *Ingester) withdrawDoubtful() error {
	doubts, err := g.store.WithdrawDoubtful(g.deps.Clock())
	if err != nil {
		return fmt.Errorf("withdraw doubtful evidence of being caught up: %w", err)
	}
	withdrawn := &state.Batch{}
	for id, doubt := range doubts {
		withdrawn.CaughtUp = append(withdrawn.CaughtUp, state.CaughtUp{Partition: id})
		g.deps.Log.Warn("withdrew evidence of being caught up; it is made again once the partition is read to its end",
			"topic", statedir.TopicName(g.identity, id.Topic), "partition", id.Partition, "reason", string(doubt))
	}
	g.tracker.durable(withdrawn)
	return nil
}

// remember reads identity and positions from the state.
func (g *Ingester) remember() error {
	r, err := g.store.Reader()
	if err != nil {
		return err
	}
	g.identity = r.Identity()
	positions, err := r.Positions()
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	g.metrics = newMetrics(g.deps.Metrics)
	g.tracker = newPartitionTracker(g.identity, positions, g.metrics)
	return nil
}

// sameTopics refuses topics that are not the state's. An empty list is allowed.
func sameTopics(id state.Identity, asked []string) error {
	if len(asked) == 0 {
		return nil
	}
	var has []string
	for _, t := range id.Topics {
		has = append(has, t.Name)
	}
	for _, name := range asked {
		if !slices.Contains(has, name) {
			return &Stop{
				Topic: name, Partition: -1, Cause: ErrOtherTopics,
				Detail: "the state is of " + strings.Join(has, ", "),
				Remedy: "check --topic and --state, or add the topic by `ingest add-topic`",
			}
		}
	}
	if len(asked) < len(has) {
		return &Stop{
			Partition: -1, Cause: ErrOtherTopics,
			Detail: "the state is of " + strings.Join(has, ", ") + ", asked for is " + strings.Join(asked, ", "),
			Remedy: "name all of them, or leave --topic out",
		}
	}
	return nil
}

// Close closes the state. Run must have returned.
func (g *Ingester) Close() error { return g.store.Close() }

// Identity returns the identity of the state.
func (g *Ingester) Identity() state.Identity { return g.identity }

// Ready returns nil while ingest consumes and its storage accepts writes, else the reason.
func (g *Ingester) Ready() error {
	if err := g.store.Health(); err != nil {
		return err
	}
	return g.tracker.problem()
}

// errDone ends a run that caught up.
var errDone = errors.New("caught up")

// Run consumes until ctx ends, then finishes the current write and returns nil; or until it is caught up, if the
// options say so. It waits for unavailable brokers and missing rights. A *Stop means that to continue would lose
// input; any other error means that the storage failed.
func (g *Ingester) Run(ctx context.Context) error {
	g.begin()
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error { return g.deps.Listen(ctx, g.cfg.State, handler{g}) })
	work.Go(func() error { return g.watch(ctx) })
	work.Go(func() error { return g.tell(ctx) })
	work.Go(func() error { return g.reportBacklog(ctx) })
	work.Go(func() error {
		err := g.consume(ctx)
		if err == nil && ctx.Err() == nil {
			err = errors.New("consuming ended by itself")
		}
		return err
	})
	err := work.Wait()
	if errors.Is(err, errDone) {
		g.caughtUp()
		return nil
	}
	return err
}

// caughtUp logs the summary of a run that ends caught up.
func (g *Ingester) caughtUp() {
	g.deps.Progress(g.tracker.progress(g.until))
	records := int64(0)
	args := []any{}
	for o, n := range g.outcomes {
		records += n
		args = append(args, billing.Outcome(o).String(), n)
	}
	g.deps.Log.Info("caught up", append([]any{"records", records}, args...)...)
}

// tell reports the progress of the run.
func (g *Ingester) tell(ctx context.Context) error {
	for sleep(ctx, progressInterval) {
		g.deps.Progress(g.tracker.progress(g.until))
	}
	return nil
}

// begin starts the measurement of the idle time.
func (g *Ingester) begin() { g.progress() }

// progress records that records were written.
func (g *Ingester) progress() {
	now := g.deps.Clock()
	g.progressed.Store(&now)
}

// watch removes old checkpoints, sets the gauges and logs while the storage stalls.
func (g *Ingester) watch(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		g.tracker.measure(g.deps.Now())
		if err := g.store.Health(); err != nil {
			g.throttled.warn("failed to write to the state, will retry", "err", err)
		}
		if g.copies == nil {
			// A rebuild makes no checkpoints.
		} else if err := g.copies.Reap(); err != nil {
			g.throttled.warn("failed to remove an old checkpoint", "err", err)
		}
		if idle := g.deps.Clock().Since(*g.progressed.Load()); g.opts.UntilCaughtUp && idle > g.opts.IdleTimeout {
			return g.behind(idle)
		}
	}
}

// behind returns the error of a run until caught up that makes no progress.
func (g *Ingester) behind(idle time.Duration) error {
	var why []string
	if err := g.Ready(); err != nil {
		why = append(why, err.Error())
	}
	for _, p := range g.tracker.live().Partitions {
		if p.Reason != "" {
			why = append(why, fmt.Sprintf("%s partition %d at offset %d of %d: %s", p.Topic, p.Partition, p.NextOffset, p.EndOffset, p.Reason))
		}
	}
	return &Stop{
		Partition: -1, Cause: ErrBehind,
		Detail: fmt.Sprintf("no record for %s; %s", idle.Round(time.Second), strings.Join(why, "; ")),
		Remedy: "see to the brokers, or end the open transaction, and run again; what was read is kept",
	}
}

// adminOption makes a client give up soon: its callers retry and log the reason.
var adminOption = kgo.RequestRetries(2)

// connect returns a client with the options of the connection and more.
func (g *Ingester) connect(more ...kgo.Opt) (*kgo.Client, error) {
	opts, err := g.cfg.Kafka.Options(g.deps.Log)
	if err != nil {
		return nil, err
	}
	opts = append(opts, g.deps.Kafka...)
	cl, err := kgo.NewClient(append(opts, more...)...)
	if err != nil {
		return nil, fmt.Errorf("make Kafka client: %w", err)
	}
	return cl, nil
}
