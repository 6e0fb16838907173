package ingest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"daybook/internal/billing"
	"daybook/internal/state"
)

// remedyKeep is the remedy if a log no longer has all records of the state.
const remedyKeep = "a rebuild would lose them, so the state stays as it is; restore the topic, or a backup of the state"

// RebuildOptions are the options of a rebuild.
type RebuildOptions struct {
	Verify      bool          `help:"Compare the new state with the old one at the old one's positions, before they are exchanged; exit 4 and keep the old one if they differ."`
	Force       bool          `help:"With --verify: exchange them although they differ."`
	KeepOld     bool          `help:"Keep the old state as db.rebuild in the state directory."`
	Fresh       bool          `help:"Do not read the old state, which is damaged: topics and rules are those of the flags, and its decisions are lost."`
	IdleTimeout time.Duration `help:"Exit 3 after this time without progress." default:"5m"`

	MemoryBytes int64 `help:"Memory for sorting, in bytes; what does not fit goes to temporary files in the state directory." default:"134217728" env:"DAYBOOK_REBUILD_MEMORY_BYTES"`
}

// Validate returns all faults in one error.
func (o *RebuildOptions) Validate() error {
	var faults []error
	if o.IdleTimeout <= 0 {
		faults = append(faults, errors.New("--idle-timeout must be greater than 0"))
	}
	if o.MemoryBytes < state.MinLoadMemory {
		faults = append(faults, fmt.Errorf("--memory-bytes must be at least %d", state.MinLoadMemory))
	}
	return errors.Join(faults...)
}

// RebuildReport is the result of a rebuild.
type RebuildReport struct {
	Delivered   int64         // records consumed
	Carried     int           // copied decisions
	Dropped     int           // decisions without an object
	Differences []state.Fault // found by Verify
	Exchanged   bool
}

// Rebuild consumes the topics from their beginning into a new state next to the old one in cfg.State and exchanges
// the two in one step. The records that are in the topics at the start are sorted and written in one step; later
// records are consumed as by Run. A crash leaves one complete state. Rebuild refuses logs that do not start at
// offset 0.
func Rebuild(ctx context.Context, cfg Config, rules RulesConfig, opts RebuildOptions, deps Deps) (report RebuildReport, err error) {
	deps.Metrics = nil // a rebuild opens two states and reads twice
	deps = deps.withDefaults()
	if err := errors.Join(cfg.Validate(), opts.Validate()); err != nil {
		return report, err
	}
	old, id, err := openOld(cfg, rules, opts, deps)
	if err != nil {
		return report, err
	}
	closeOld := func() error {
		if old == nil {
			return nil
		}
		o := old
		old = nil
		return o.Close()
	}
	defer func() { err = errors.Join(err, closeOld()) }()

	fresh := deps.State
	fresh.Sub = state.RebuildDir
	if err := os.RemoveAll(filepath.Join(cfg.State, state.RebuildDir)); err != nil {
		return report, fmt.Errorf("remove an unfinished rebuild: %w", err)
	}
	cluster := id.Cluster
	if err := (&Ingester{cfg: cfg, deps: deps, identity: id}).identify(ctx, &id); err != nil {
		return report, err
	}
	if cluster != "" && id.Cluster != cluster {
		return report, sameInput(state.Identity{Cluster: cluster}, &listing{Cluster: id.Cluster})
	}
	if err := state.Create(cfg.State, id, fresh); err != nil {
		return report, err
	}
	if err := fill(ctx, cfg, opts, old, fresh, deps, &report); err != nil {
		return report, err
	}
	if len(report.Differences) > 0 && !opts.Force {
		return report, os.RemoveAll(filepath.Join(cfg.State, state.RebuildDir))
	}
	if err := closeOld(); err != nil {
		return report, err
	}
	if err := state.Exchange(cfg.State, opts.KeepOld); err != nil {
		return report, err
	}
	report.Exchanged = true
	return report, nil
}

// openOld opens the old state, if it must be read, and returns the identity of the new one.
func openOld(cfg Config, rules RulesConfig, opts RebuildOptions, deps Deps) (*state.Reader, state.Identity, error) {
	id := state.Identity{Partitions: "all", Rules: billing.DefaultRules()}
	var old *state.Reader
	if opts.Fresh {
		if len(cfg.Topics) == 0 {
			return nil, id, errNoTopic
		}
		if opts.Verify {
			return nil, id, errors.New("--verify needs the old state, and --fresh does not read it: give one of them")
		}
		for i, name := range cfg.Topics {
			id.Topics = append(id.Topics, state.Topic{Name: name, Ordinal: billing.TopicOrdinal(i)})
		}
	} else {
		var err error
		old, err = state.OpenReader(cfg.State, deps.State)
		if errors.Is(err, state.ErrLocked) {
			return nil, id, fmt.Errorf("%w; stop the ingest that runs on it, and start it again afterwards", err)
		}
		if errors.Is(err, state.ErrDamaged) {
			return nil, id, fmt.Errorf("%w; to rebuild without reading it, name the topics and rules and add --fresh: its decisions are lost", err)
		}
		if err != nil {
			return nil, id, err
		}
		was := old.Identity()
		id.Cluster, id.Topics, id.Rules = was.Cluster, append([]state.Topic(nil), was.Topics...), was.Rules
		if err := sameTopics(was, cfg.Topics); err != nil {
			return nil, id, errors.Join(err, old.Close())
		}
	}
	r, err := rules.Over(id.Rules)
	if err != nil && old != nil {
		err = errors.Join(err, old.Close())
	}
	id.Rules = r
	return old, id, err
}

// fill consumes into the new state, copies decisions and compares.
func fill(ctx context.Context, cfg Config, opts RebuildOptions, old *state.Reader, fresh state.Options, deps Deps, report *RebuildReport) (err error) {
	store, err := state.Open(cfg.State, fresh)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	cfg.Group = "" // the committed offsets of the old state remain
	g := &Ingester{
		cfg: cfg, opts: RunOptions{UntilCaughtUp: true, IdleTimeout: opts.IdleTimeout}, deps: deps,
		store: store, throttled: newThrottledLogger(deps.Log, deps.Now),
	}
	until, err := bulkEnds(ctx, cfg, opts, old, store, deps)
	if err != nil {
		return err
	}
	if err := g.loadBulk(ctx, until, opts.MemoryBytes); err != nil {
		return err
	}
	if opts.Verify {
		if report.Differences, err = compare(old, store); err != nil {
			return err
		}
		if len(report.Differences) > 0 && !opts.Force {
			return nil
		}
	}
	if err := g.replay(ctx); err != nil {
		return err
	}
	if err := carry(old, store, deps, report); err != nil {
		return err
	}
	r, err := store.Reader()
	if err != nil {
		return err
	}
	positions, err := r.Positions()
	for _, p := range positions {
		report.Delivered += p.Delivered
	}
	return errors.Join(err, r.Close())
}

// compare returns the differences of the two states.
func compare(old *state.Reader, store *state.Store) ([]state.Fault, error) {
	r, err := store.Reader()
	if err != nil {
		return nil, err
	}
	faults, err := state.Compare(old, r, nil)
	return faults, errors.Join(err, r.Close())
}

// carry copies the decisions of the old state into the new one. It drops decisions without an object: a log that is
// read from its start has no gap, and the new state has the looser rules from its start.
func carry(old *state.Reader, store *state.Store, deps Deps, report *RebuildReport) error {
	if old == nil {
		return nil
	}
	decisions, err := old.Decisions()
	if err != nil || len(decisions) == 0 {
		return err
	}
	r, err := store.Reader()
	if err != nil {
		return err
	}
	defer r.Close()
	for _, d := range decisions {
		switch d.Kind {
		case state.QuarantineSettled:
			var there []billing.Source
			for _, src := range d.Records {
				_, ok, err := r.QuarantinedRecord(src)
				if err != nil {
					return err
				}
				if ok {
					there = append(there, src)
				}
			}
			if d.Records = there; len(there) == 0 {
				report.Dropped++
				continue
			}
		case state.EmptyDayAllowed, state.DecisionsCarried:
		default:
			report.Dropped++
			continue
		}
		if _, err := store.Decide(d); err != nil {
			return fmt.Errorf("carry decision %d over: %w", d.Number, err)
		}
		report.Carried++
	}
	_, err = store.Decide(state.Decision{
		Kind: state.DecisionsCarried, Who: "ingest rebuild", When: deps.Now().UTC(),
		Why: fmt.Sprintf("rebuilt from database %s: %d decisions carried over, %d without object dropped", old.Identity().Database, report.Carried, report.Dropped),
	})
	return err
}

// replay consumes until it is caught up, or up to the given offsets, without a control socket.
func (g *Ingester) replay(ctx context.Context) error {
	if err := g.remember(); err != nil {
		return err
	}
	g.begin()
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error { return g.watch(ctx) })
	work.Go(func() error { return g.tell(ctx) })
	work.Go(func() error {
		err := g.consume(ctx)
		if err == nil {
			err = context.Canceled
		}
		return err
	})
	err := work.Wait()
	if s, ok := errors.AsType[*Stop](err); ok && errors.Is(s.Cause, ErrLogTrimmed) {
		s.Remedy = remedyKeep
	}
	if errors.Is(err, errDone) {
		g.deps.Progress(g.tracker.progress(g.until))
		return nil
	}
	return err
}
