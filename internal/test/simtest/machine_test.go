package simtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/billing"
	"daybook/internal/control"
	"daybook/internal/ingest"
	"daybook/internal/kafka"
	"daybook/internal/lake"
	"daybook/internal/publish"
	"daybook/internal/state"
	"daybook/internal/statedir"
	"daybook/internal/test/rot"
)

const (
	stateDir = "/state"
	lakeDir  = "/lake"
)

// machine runs ingest, publishers and readers on one disk until it crashes. At
// the crash the disk is cloned as the next machine will find it; what the
// programs still do to their own disk while they are being ended counts for nothing.
type machine struct {
	*world
	disk    *machineDisk
	ctx     context.Context
	cancel  context.CancelFunc
	crashed chan struct{}
	work    sync.WaitGroup

	life struct {
		sync.Mutex
		dead    bool
		after   *rot.Crashable
		handler control.Handler
	}
}

// boot starts a machine on what a crash left of a disk, and has the model judge that first.
func (w *world) boot(mem *rot.Crashable) *machine {
	m := &machine{world: w, disk: newDisk(mem), crashed: make(chan struct{})}
	w.mu.Lock()
	w.mu.boots++
	w.mu.Unlock()
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.judgeState()
	m.judgeAcknowledged()
	ingestChance := rand.New(rand.NewPCG(w.seed, w.chance.Uint64()))
	m.work.Go(func() { m.ingest(ingestChance) })
	for range 1 + w.chance.IntN(2) {
		chance := rand.New(rand.NewPCG(w.seed, w.chance.Uint64()))
		m.work.Go(func() { m.publish(chance) })
	}
	chance := rand.New(rand.NewPCG(w.seed, w.chance.Uint64()))
	m.work.Go(func() { m.read(chance) })
	return m
}

// run lets the world happen until the machine crashes, and returns what is left of the disk.
func (m *machine) run() *rot.Crashable {
	c := m.chance
	survives := []int{0, 0, 20, 50, 80, 100}[c.IntN(6)]
	crash := rand.New(rand.NewPCG(m.seed, c.Uint64()))
	writes := 0 // the power is not cut at a write, but at some moment
	if c.IntN(8) > 0 {
		writes = 1 + c.IntN([]int{20, 60, 150, 600}[c.IntN(4)])
	}
	m.disk.cutAfter(writes, func() { m.crash(survives, crash) })
	if c.IntN(4) == 0 {
		m.disk.slow(c.IntN(40))
	}
	until := time.Now().Add(time.Duration(c.IntN(4000)) * time.Millisecond)
	for {
		select {
		case <-m.crashed:
			m.cancel()
			m.work.Wait()
			if m.disk.refused() {
				m.count.refusals++
			}
			return m.life.after
		case <-time.After(time.Duration(c.IntN(200)) * time.Millisecond):
		}
		switch r := c.IntN(20); {
		case time.Now().After(until) || m.t.Failed():
			m.crash(survives, crash)
		case r < 10:
			m.produce(1 + c.IntN(4))
		case r < 13:
			m.troubleBroker()
		case r == 13:
			m.disk.refuse(1+c.IntN(8), []syscall.Errno{syscall.EIO, syscall.ENOSPC}[c.IntN(2)])
		case r == 14 && m.seed%3 == 0:
			m.stepClock()
		}
	}
}

// crash ends the machine here and now. What was durable or published before
// counts; percent of what was not synced survives.
func (m *machine) crash(percent int, chance *rand.Rand) {
	m.life.Lock()
	defer m.life.Unlock()
	if m.life.dead {
		return
	}
	m.life.dead = true
	m.noteDurable(m.life.handler)
	m.disk.heal()
	m.life.after = m.disk.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: chance})
	close(m.crashed)
}

// noteDurable notes what a running ingest calls durable.
func (m *machine) noteDurable(h control.Handler) {
	if h == nil {
		return
	}
	live, err := h.Live(context.Background())
	if err != nil {
		m.fail("ask ingest what it knows: %v", err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range live.Partitions {
		for i, name := range topics {
			id := state.PartitionID{Topic: billing.TopicOrdinal(i), Partition: p.Partition}
			if name == p.Topic {
				m.mu.durable[id] = max(m.mu.durable[id], p.NextOffset)
			}
		}
	}
}

// alive runs f unless the machine has crashed; it does not crash meanwhile.
func (m *machine) alive(f func()) {
	m.life.Lock()
	defer m.life.Unlock()
	if !m.life.dead {
		f()
	}
}

// mind fails the simulation on an error that nothing explains.
func (m *machine) mind(who string, err error) {
	for _, never := range []error{
		state.ErrDamaged, state.ErrPosition, state.ErrFormat, lake.ErrDamaged, lake.ErrFormat,
		publish.ErrGate, publish.ErrDifference, publish.ErrBehind, publish.ErrOtherState,
	} {
		if errors.Is(err, never) {
			m.fail("%s: %v", who, err)
			return
		}
	}
	if _, stop := errors.AsType[*ingest.Stop](err); stop {
		m.fail("%s: %v", who, err)
		return
	}
	for _, often := range []error{context.Canceled, state.ErrLocked, lake.ErrLocked, lake.ErrTaken, publish.ErrIncomplete, publish.ErrAsOf} {
		if errors.Is(err, often) {
			return
		}
	}
	m.alive(func() {
		if !m.disk.refused() {
			m.fail("%s: %v", who, err)
		}
	})
}

func (m *machine) config() ingest.Config {
	return ingest.Config{Kafka: kafka.Config{Brokers: m.broker.ListenAddrs()}, State: stateDir, Topics: topics, Tuning: m.tuning}
}

func (m *machine) stateOptions() state.Options {
	o := m.options
	o.FS, o.Now = m.disk.state, m.now
	o.Fatal = func(err error) { panic(fmt.Sprintf("seed %d: %v", m.seed, err)) }
	return o
}

func (m *machine) ingestDeps() ingest.Deps {
	return ingest.Deps{
		Now: m.now, Clock: m.reading, State: m.stateOptions(), Kafka: []kgo.Opt{kgo.Dialer(m.dial), kgo.DisableClientMetrics()},
		Listen: func(ctx context.Context, _ string, h control.Handler) error {
			l, err := m.net.Listen("", fmt.Sprintf("localhost:%d", controlPort))
			if err != nil {
				return err
			}
			m.alive(func() { m.life.handler = h })
			return control.Serve(ctx, l, h)
		},
	}
}

// ingest runs ingest again and again, each for a while, or until it has caught up.
func (m *machine) ingest(chance *rand.Rand) {
	for m.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(m.ctx, time.Duration(1+m.seed%20)*time.Second)
		opts := ingest.RunOptions{UntilCaughtUp: chance.IntN(3) == 0, IdleTimeout: 10 * time.Hour}
		m.mu.Lock()
		there := maps.Clone(m.mu.next)
		m.mu.Unlock()
		g, err := ingest.New(m.config(), ingest.RulesConfig{}, opts, m.ingestDeps())
		if err == nil {
			if err = g.Run(ctx); err == nil && opts.UntilCaughtUp && ctx.Err() == nil {
				m.alive(func() { m.judgeCaughtUp(there) })
			}
			err = errors.Join(err, g.Close())
		}
		cancel()
		if err != nil {
			m.mind("ingest", err)
		}
		// Now and then no ingest runs for a while, and publishers have what the last one left.
		m.sleep([]time.Duration{100 * time.Millisecond, 2 * time.Second}[chance.IntN(2)])
	}
}

// judgeCaughtUp: a run that ended caught up has read everything that was there when it began. It holds m.life.
func (m *machine) judgeCaughtUp(there map[state.PartitionID]int64) {
	m.noteDurable(m.life.handler)
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, next := range there {
		if m.mu.durable[id] < next {
			m.fail("ingest ended caught up with partition %v at offset %d; it began at %d", id, m.mu.durable[id], next)
		}
	}
}

func (m *machine) source() statedir.Dir {
	return statedir.Dir{Path: stateDir, Options: m.stateOptions(), Dial: func(ctx context.Context, _ string) (*control.Client, error) {
		return control.Connect(ctx, func(ctx context.Context) (net.Conn, error) {
			conn, err := m.net.DialContext(ctx, "", fmt.Sprintf("localhost:%d", controlPort))
			if err != nil && ctx.Err() == nil {
				err = control.ErrNotRunning
			}
			return conn, err
		})
	}}
}

func (m *machine) lake() *lake.Lake { return lake.Open(lakeDir, m.disk.lake, m.now) }

func (m *machine) publisher(allowIncomplete bool) *publish.Publisher {
	cfg := publish.DefaultConfig()
	cfg.AllowEmptyDays, cfg.AllowIncomplete = true, allowIncomplete
	return publish.New(cfg, publish.Deps{Source: m.source(), Lake: m.lake(), Now: m.now, Clock: m.publisherReading})
}

// publish publishes now and then, by a run or by a backfill of some days, and prunes.
func (m *machine) publish(chance *rand.Rand) {
	for m.sleep(time.Duration(chance.IntN(2000)) * time.Millisecond) {
		p := m.publisher(chance.IntN(3) == 0)
		var report publish.Report
		var err error
		if chance.IntN(4) == 0 {
			from := billing.DayOf(m.now()) - billing.Day(chance.IntN(6))
			report, err = p.Backfill(m.ctx, publish.Window{From: from, To: from + billing.Day(chance.IntN(3))}, false)
		} else {
			report, err = p.Run(m.ctx)
		}
		m.alive(func() {
			for _, r := range report.Tenants {
				if r.Outcome == publish.Published {
					m.count.releases++
					m.mu.Lock()
					m.mu.released[r.Tenant] = r.Release
					m.mu.Unlock()
				}
				if r.Aside != "" {
					m.fail("tenant %s: a release was set aside at %s, though no byte of the disk rotted", r.Tenant, r.Aside)
				}
			}
		})
		if err == nil {
			err = m.prune()
		}
		if err != nil {
			m.mind("publisher", err)
		}
	}
}

// prune keeps a few releases of each tenant.
func (m *machine) prune() error {
	l := m.lake()
	all, err := l.Tenants()
	if err != nil {
		return err
	}
	for _, t := range all {
		s := l.Tenant(t)
		unlock, err := s.Lock()
		if err != nil {
			return err
		}
		_, err = s.Prune(lake.Retention{Keep: 3, Grace: time.Minute}, false)
		if err := errors.Join(err, unlock()); err != nil {
			return err
		}
	}
	return nil
}

// read reads every release that becomes current, as a reader does who resolves it once.
func (m *machine) read(chance *rand.Rand) {
	last := map[string]int{}
	for m.sleep(time.Duration(chance.IntN(700)) * time.Millisecond) {
		for _, t := range tenants {
			s := m.lake().Tenant(billing.TenantID(t))
			n, _, err := s.Resolve()
			if errors.Is(err, lake.ErrNoRelease) {
				continue
			}
			if err != nil {
				m.fail("reader of %s: %v", t, err)
				return
			}
			if n < last[t] {
				m.fail("reader of %s: release %d after %d", t, n, last[t])
			}
			if n != last[t] {
				last[t] = n
				m.judgeRelease(s, t, n)
			}
		}
	}
}

// sleep waits; false when the machine has ended.
func (m *machine) sleep(d time.Duration) bool {
	select {
	case <-m.ctx.Done():
		return false
	case <-time.After(d):
		return m.ctx.Err() == nil
	}
}
