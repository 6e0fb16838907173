package publish

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"daybook/internal/billing"
	"daybook/internal/clock"
	"daybook/internal/disk"
	"daybook/internal/lake"
	"daybook/internal/state"
	"daybook/internal/statedir"
)

// The sizes of the benchmarks; `make bench` raises the last.
var (
	benchDays     = flag.Int("bench.days", 9, "days of BenchmarkCorrections (90 for the target)")
	benchAccounts = flag.Int("bench.accounts", 200, "accounts of BenchmarkCorrections (2000 for the target)")
	benchEvents   = flag.Int("bench.events", 1, "events of an account-day of BenchmarkCorrections")
	benchDay      = flag.Int("bench.day", 200_000, "events of BenchmarkFoldDay (10000000 for the target)")
)

// benchWorld is a state and a lake on the real file system.
type benchWorld struct {
	b     *testing.B
	store *state.Store
	dir   string
	next  int64
	now   time.Time
	lake  *lake.Lake
}

// reading is a clock that stands still.
func (w *benchWorld) reading() clock.Reading {
	return clock.Reading{Wall: w.now, Boot: clock.BootID{1}, Uptime: time.Hour}
}

func newBenchWorld(b *testing.B) *benchWorld {
	b.Helper()
	w := &benchWorld{b: b, dir: b.TempDir(), now: at("2025-06-01T00:00:00Z")}
	id := state.Identity{Cluster: "c", Topics: []state.Topic{{Name: topicName}}, Partitions: "all", Rules: billing.DefaultRules()}
	w.check(state.Create(filepath.Join(w.dir, "state"), id, state.Options{}))
	store, err := state.Open(filepath.Join(w.dir, "state"), state.Options{CacheBytes: 1 << 30})
	w.check(err)
	w.store = store
	w.lake = lake.Open(filepath.Join(w.dir, "lake"), disk.OS(), time.Now)
	b.Cleanup(func() { w.check(w.store.Close()) })
	return w
}

func (w *benchWorld) check(err error) {
	w.b.Helper()
	if err != nil {
		w.b.Fatal(err)
	}
}

// add appends events, in writes of bounded size, and marks the topic as read to its end.
func (w *benchWorld) add(n int, event func(i int, e *billing.Event)) {
	w.b.Helper()
	const size = 50_000
	for start := 0; start < n; start += size {
		end := min(n, start+size)
		batch := &state.Batch{}
		for i := start; i < end; i++ {
			var record state.Record
			e := &record.Event
			e.Tenant, e.Category = billing.DefaultTenant, billing.Usage
			e.Version = billing.Version{IngestedAt: billing.Instant(1e18 + w.next), Source: billing.Source{Offset: w.next + int64(i-start), RecordTime: 1}}
			event(i, e)
			batch.Add(record)
		}
		count := int64(end - start)
		batch.Advances = []state.Advance{{From: w.next, Next: w.next + count, Delivered: count, LastOffset: w.next + count - 1}}
		if end == n {
			batch.CaughtUp = []state.CaughtUp{state.NewCaughtUp(state.PartitionID{}, w.reading())}
		}
		_, err := w.store.Apply(batch)
		w.check(err)
		w.next += count
	}
}

// BenchmarkCorrections is a run after ten corrected account-days, without the time of the checkpoint.
func BenchmarkCorrections(b *testing.B) {
	w := newBenchWorld(b)
	days, accounts, perDay := *benchDays, *benchAccounts, *benchEvents
	first := day("2025-01-01")
	name := func(i int) (billing.EventID, billing.AccountID, billing.Day) {
		account, rest := i%accounts, i/accounts
		return billing.EventID(fmt.Sprintf("event-%09d", i)), billing.AccountID(fmt.Sprintf("account-%06d", account)), first + billing.Day(rest%days)
	}
	w.add(days*accounts*perDay, func(i int, e *billing.Event) {
		e.ID, e.Account, e.Day = name(i)
		e.Service, e.Region = billing.ServiceName(fmt.Sprintf("service-%d", i%7)), "eu-central-1"
		e.Cost = billing.MoneyFromParts(0, uint64(i+1)*1e15)
	})
	cfg := DefaultConfig()
	cfg.AsOf = AsOf{w.now}
	source := &heldSource{Source: Store{Store: w.store, Dir: filepath.Join(w.dir, "checkpoints")}}
	p := New(cfg, Deps{Source: source, Lake: w.lake, Clock: w.reading})
	_, err := p.Run(b.Context())
	w.check(err)
	corrected := 0
	for b.Loop() {
		b.StopTimer()
		w.add(10, func(i int, e *billing.Event) {
			corrected++
			e.ID, e.Account, e.Day = name((i*(days*accounts/10) + i) % (days * accounts))
			e.Service, e.Region = "service-0", "eu-central-1"
			e.Cost = billing.MoneyFromParts(0, uint64(corrected)*1e16)
		})
		source.take(b)
		b.StartTimer()
		report, err := p.Run(b.Context())
		w.check(err)
		if c := report.Tenants[0].Changes; c.Restated != 10 {
			b.Fatalf("changes %+v, want 10 restated", c)
		}
	}
	b.ReportMetric(float64(days*accounts), "account-days")
}

// heldSource is a Source of a checkpoint that was taken before.
type heldSource struct {
	Source
	held *Checkpoint
}

func (s *heldSource) take(b *testing.B) {
	c, err := s.Source.Checkpoint(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	s.held = c
}

func (s *heldSource) Checkpoint(ctx context.Context) (*Checkpoint, error) {
	if c := s.held; c != nil {
		s.held = nil
		return c, nil
	}
	return s.Source.Checkpoint(ctx)
}

// BenchmarkFoldDay folds one large day of a state on disk.
func BenchmarkFoldDay(b *testing.B) {
	w := newBenchWorld(b)
	n := *benchDay
	d := day("2025-01-01")
	w.add(n, func(i int, e *billing.Event) {
		e.ID = billing.EventID(fmt.Sprintf("event-%09d", i))
		e.Account, e.Day = billing.AccountID(fmt.Sprintf("account-%06d", i%2000)), d
		e.Service, e.Region = billing.ServiceName(fmt.Sprintf("service-%d", i%7)), "eu-central-1"
		e.Cost = billing.MoneyFromParts(0, uint64(i+1)*1e12)
	})
	c, err := statedir.Copy(w.store, filepath.Join(w.dir, "copy"), state.Options{})
	w.check(err)
	defer func() { w.check(c.Close()) }()
	w.check(w.store.Close()) // its compactions would be measured, too
	work := &dayPlan{day: d, all: true, dirty: map[billing.AccountID][]string{}}
	for m, err := range c.Markers(billing.DefaultTenant, d, d) {
		w.check(err)
		work.dirty[m.AccountDay.Account] = nil
	}
	b.ResetTimer()
	cpu := cpuSeconds(b)
	for b.Loop() {
		folds, err := foldDay(b.Context(), c.Reader, billing.DefaultTenant, work)
		w.check(err)
		var events int64
		for i := range folds {
			events += folds[i].totals.Events
		}
		if events != int64(n) {
			b.Fatalf("%d events folded, want %d", events, n)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(n)*float64(b.N)/(cpuSeconds(b)-cpu), "events/cpu-s")
}

// cpuSeconds is the CPU time that the process has used.
func cpuSeconds(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}
