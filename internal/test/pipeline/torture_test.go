package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"daybook/internal/billing"
	"daybook/internal/disk"
	"daybook/internal/lake"
	"daybook/internal/test/oracle"
)

const (
	strikeEvery = 50 * time.Millisecond
	readers     = 8
	grace       = 20 * time.Second // of pruned releases
)

var (
	tortureFor  = flag.Duration("torture", 15*time.Second, "how long TestReleaseTorture goes on")
	tortureSeed = flag.Uint64("torture-seed", uint64(time.Now().UnixNano()), "what TestReleaseTorture draws from")
)

// TestReleaseTorture has two publishers make releases of one lake, by runs and by
// backfills of a day, while an operator rolls back and prunes, kills one of these processes every 50 ms, and
// lets eight readers read all the time, four by DuckDB and four by Go, each of
// which resolves `current` once per job. Corrections never stop, so every run
// has work. Each read must be exactly one release, numbers never go back, and
// every release must be what the log says at the offsets that it names.
func TestReleaseTorture(t *testing.T) {
	duration := *tortureFor
	if testing.Short() {
		duration = min(duration, 5*time.Second)
	}
	t.Logf("seed %d", *tortureSeed)
	const topic = "billing"
	addr := broker(t, topic, 4)
	x := &torture{place: newPlace(t, addr, topic), victims: make([]victim, 3)}
	x.manifests.seen = map[int]string{}
	x.run(t, "ingest", "init")
	feed := newCorrections(*tortureSeed)
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := feed.send(t.Context(), client, feed.all()); err != nil {
		t.Fatal(err)
	}
	x.run(t, "ingest", "run", "--until-caught-up")
	began := time.Now()
	x.run(t, "publisher", "run")
	x.counts.takes.Store(int64(time.Since(began)))

	started := time.Now()
	defer func() {
		c := &x.counts
		t.Logf("%s: %d kills, %d releases by a run or a backfill, of these %d by a backfill, and %d by a rollback, %d switches finished by a later run, %d releases pruned; "+
			"%d reads, of which %d of a release that was pruned meanwhile, and %d given up after the grace period; %d records",
			time.Since(started).Round(time.Second), c.kills.Load(), c.releases.Load(), c.backfills.Load(), c.rollbacks.Load(), c.finished.Load(), c.pruned.Load(),
			c.reads.Load(), c.prunedReads.Load(), c.late.Load(), feed.sent)
	}()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error {
		defer cancel()
		pause(ctx, duration)
		for range 120 { // a busy machine gets more time
			if x.enough(duration) || ctx.Err() != nil {
				return nil
			}
			pause(ctx, time.Second)
		}
		return errors.New("the torture was none: too few kills, releases, reads, prunings or rollbacks")
	})
	work.Go(func() error { return x.ingest(ctx) })
	// A publisher that comes before ingest would lock the state and keep ingest out.
	for _, err := x.consumed(ctx); err != nil && ctx.Err() == nil; _, err = x.consumed(ctx) {
		pause(ctx, 5*time.Millisecond)
	}
	work.Go(func() error { return feed.run(ctx, client) })
	for i := range 2 {
		work.Go(func() error { return x.publisher(ctx, &x.victims[i], rng(20+uint64(i))) })
	}
	work.Go(func() error { return x.operator(ctx, &x.victims[2], rng(2)) })
	work.Go(func() error { return x.killer(ctx, rng(3)) })
	for i := range uint64(readers) {
		read := readByGo
		if i%2 == 0 {
			read = otherReader(t)
		}
		work.Go(func() error { return x.reader(ctx, read, rng(10+i)) })
	}
	scans := newScans(t, x.lake)
	work.Go(func() error { return scans.run(ctx) })
	if err := work.Wait(); err != nil {
		t.Fatal(err)
	}

	x.run(t, "publisher", "resume")
	x.run(t, "ingest", "run", "--until-caught-up")
	x.run(t, "publisher", "run")
	x.run(t, "publisher", "verify")
	log := readTopic(t, addr, topic, feed.sent)
	x.releasesAreTheLog(t, log, topic)
	scans.report(t, lake.Open(x.lake, disk.OS(), time.Now).Tenant(billing.DefaultTenant))
}

// rng is one of the independent sources that the seed gives.
func rng(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(*tortureSeed, stream)) }

// torture is what the processes and goroutines of the test share.
type torture struct {
	place
	victims []victim

	manifests struct {
		sync.Mutex
		seen map[int]string // by release: its manifest's hash
	}
	counts struct {
		kills, releases, backfills, rollbacks, finished, pruned, reads, prunedReads, late atomic.Int64
		takes                                                                             atomic.Int64 // nanoseconds that the last complete run took
	}
}

// enough reports whether what was done deserves the name. The operator, who is locked out most of
// the time, cannot be expected to get through within seconds.
func (x *torture) enough(after time.Duration) bool {
	c := &x.counts
	operated := after < 5*time.Minute || c.pruned.Load() >= 2 && c.rollbacks.Load() >= 1
	return operated && c.kills.Load() >= 10 && c.releases.Load() >= 2 && c.reads.Load() >= readers
}

// victim is where a process that may be killed runs.
type victim struct {
	sync.Mutex
	process *os.Process
	killed  bool
}

// kill kills what runs there and reports whether something did.
func (v *victim) kill() bool {
	v.Lock()
	defer v.Unlock()
	if v.process == nil || v.killed || v.process.Kill() != nil {
		return false
	}
	v.killed = true
	return true
}

// result is how a process ended.
type result struct {
	stdout, stderr string
	code           int
	killed         bool
}

// command runs the publisher with v as its place.
func (x *torture) command(v *victim, args ...string) (result, error) {
	c := x.place.command(context.Background(), "publisher", args...)
	var stdout, stderr strings.Builder
	c.Stdout, c.Stderr = &stdout, &stderr
	v.Lock()
	err := c.Start()
	v.process, v.killed = c.Process, false
	v.Unlock()
	if err != nil {
		return result{}, err
	}
	err = c.Wait()
	v.Lock()
	defer v.Unlock()
	v.process = nil
	r := result{stdout.String(), stderr.String(), c.ProcessState.ExitCode(), v.killed && c.ProcessState.ExitCode() == -1}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return r, err
	}
	if r.code == -1 && !r.killed {
		return r, fmt.Errorf("publisher %s ended by a signal that was not ours: %s", args[0], r.stderr)
	}
	return r, nil
}

// unexpected is the error of a process that ended as it must not.
func (r result) unexpected(what string) error {
	return fmt.Errorf("%s: exit code %d\n%s%s", what, r.code, r.stdout, r.stderr)
}

// ingest runs for as long as ctx.
func (x *torture) ingest(ctx context.Context) error {
	c := x.place.command(context.WithoutCancel(ctx), "ingest", "run", "--checkpoint-max-age=1m")
	var stderr strings.Builder
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Process.Signal(os.Interrupt) })
	defer stop()
	if err := c.Wait(); err != nil || ctx.Err() == nil {
		return fmt.Errorf("ingest ended: %w: %s", err, stderr.String())
	}
	return nil
}

// publisher makes releases, one after the other; one in four is a backfill of a day.
func (x *torture) publisher(ctx context.Context, v *victim, rng *rand.Rand) error {
	for ctx.Err() == nil {
		began := time.Now()
		args := []string{"run"}
		if rng.IntN(4) == 0 {
			day := fmt.Sprintf("2025-01-%02d", 1+rng.IntN(correctedDays))
			args = []string{"backfill", "--from", day, "--to", day}
		}
		r, err := x.command(v, args...)
		if err != nil {
			return err
		}
		if strings.Contains(r.stderr, "finished a switch") {
			x.counts.finished.Add(1)
		}
		onHold := r.code == 4 && strings.Contains(r.stderr, "publisher resume")
		switch {
		case r.killed:
		case r.code == 0 && strings.Contains(r.stdout, "default: release "):
			x.counts.releases.Add(1)
			if args[0] == "backfill" {
				x.counts.backfills.Add(1)
			}
			x.counts.takes.Store(int64(time.Since(began)))
		case r.code == 0, r.code == 5, onHold:
			pause(ctx, 20*time.Millisecond)
		default:
			return r.unexpected("publisher " + args[0])
		}
	}
	return nil
}

// killer kills one of the processes every 50 ms. After each volley there is a
// pause of up to one and a half times what a run takes, so that some runs finish
// and the next kill hits any step of one.
func (x *torture) killer(ctx context.Context, rng *rand.Rand) error {
	strike := func() {
		for _, i := range rng.Perm(len(x.victims)) {
			// The operator, whom publishers lock out most of the time, must get through now and then.
			if i == 2 && rng.IntN(8) > 0 {
				continue
			}
			if x.victims[i].kill() {
				x.counts.kills.Add(1)
				return
			}
		}
	}
	for ctx.Err() == nil {
		for range 4 + rng.IntN(8) {
			pause(ctx, strikeEvery)
			strike()
		}
		pause(ctx, time.Duration(rng.Int64N(x.counts.takes.Load()*3/2)))
		strike()
	}
	return nil
}

// operator prunes, and now and then rolls back and resumes.
func (x *torture) operator(ctx context.Context, v *victim, rng *rand.Rand) error {
	var r result
	// again repeats a command that was locked out, or killed.
	again := func(args ...string) (err error) {
		for {
			if r, err = x.command(v, args...); err != nil || !r.killed && r.code != 5 {
				return err
			}
			if pause(ctx, 10*time.Millisecond); ctx.Err() != nil {
				r = result{}
				return nil
			}
		}
	}
	for ctx.Err() == nil {
		pause(ctx, time.Duration(200+rng.IntN(800))*time.Millisecond)
		if err := again("prune", "--keep=2", "--grace="+grace.String(), "--json"); err != nil {
			return err
		}
		var done []struct{ Releases []int }
		if r.code != 0 || r.stdout != "" && json.Unmarshal([]byte(r.stdout), &done) != nil {
			return r.unexpected("publisher prune")
		}
		for _, d := range done {
			x.counts.pruned.Add(int64(len(d.Releases)))
		}
		if rng.IntN(4) > 0 {
			continue
		}
		n, _, err := x.resolve(ctx)
		if err != nil || n < 2 {
			return err
		}
		if r, err = x.command(v, "rollback", fmt.Sprint(n-1)); err != nil {
			return err
		}
		switch {
		case r.killed, r.code == 5, r.code == 1 && strings.Contains(r.stderr, "no such release"): // it is locked, or pruned
		case r.code == 0:
			x.counts.rollbacks.Add(1)
		default:
			return r.unexpected("publisher rollback")
		}
		pause(ctx, time.Duration(rng.IntN(300))*time.Millisecond)
		if err := again("resume"); err != nil {
			return err
		}
		if r.code != 0 {
			return r.unexpected("publisher resume")
		}
	}
	return nil
}

// resolve asks the program where the newest release lies.
func (x *torture) resolve(ctx context.Context) (n int, dir string, err error) {
	out, err := x.place.command(context.WithoutCancel(ctx), "publisher", "path", "--json").Output()
	if err != nil {
		return 0, "", fmt.Errorf("publisher path: %w", err)
	}
	var at struct {
		Release int
		Path    string
	}
	err = json.Unmarshal(out, &at)
	return at.Release, at.Path, err
}

// releasesAreTheLog holds releases against the model, each at the offsets that it names, and
// checks the hashes of all that are there.
func (x *torture) releasesAreTheLog(t *testing.T, log []oracle.Record, topic string) {
	t.Helper()
	series := lake.Open(x.lake, disk.OS(), time.Now).Tenant(billing.DefaultTenant)
	entries, err := series.List()
	if err != nil {
		t.Fatal(err)
	}
	const samples = 12
	for i, e := range entries {
		m, err := series.Manifest(e.Release)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(series.Dir(e.Release)); err == nil {
			if err := series.Verify(m, nil); err != nil {
				t.Errorf("at the end: %v", err)
			}
		}
		if left := len(entries) - 1 - i; left == 0 || i%(len(entries)/samples+1) == 0 {
			agreesWithLog(t, m, log, topic)
		}
	}
	if last := entries[len(entries)-1]; !last.Current {
		t.Errorf("release %d is not current", last.Release)
	}
}

// agreesWithLog compares the days of a release with the model of what it says it has read.
func agreesWithLog(t *testing.T, m *lake.Manifest, log []oracle.Record, topic string) {
	t.Helper()
	next := map[int32]int64{}
	for _, p := range m.Input {
		next[p.Partition] = p.NextOffset
	}
	model := oracle.New(billing.DefaultRules(), topic)
	for _, r := range log {
		if r.Offset < next[r.Partition] {
			model.Add(r)
		}
	}
	type cell struct {
		usd    string
		events int64
	}
	want := map[string]oracle.Total{}
	for at, total := range model.Tables().Accounts {
		w, ok := want[at.Day]
		if !ok {
			w.USD = total.USD
		} else {
			w.USD = w.USD.Add(w.USD, total.USD)
		}
		w.Events += total.Events
		want[at.Day] = w
	}
	for _, d := range m.Days {
		w, ok := want[d.Day.String()]
		if !ok {
			t.Errorf("release %d has %s, the log has not", m.Release, d.Day)
			continue
		}
		if got, want := (cell{d.Total.String(), d.Events}), (cell{oracle.Text(w.USD), w.Events}); got != want {
			t.Errorf("release %d: %s is %v, the log says %v", m.Release, d.Day, got, want)
		}
		delete(want, d.Day.String())
	}
	for day := range want {
		t.Errorf("release %d lacks %s", m.Release, day)
	}
}

// pause sleeps, less when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
