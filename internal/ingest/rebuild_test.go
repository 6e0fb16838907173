package ingest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"daybook/internal/state"
)

// rebuild rebuilds the state and compares it with the one that the loop made.
func (w *world) rebuild(change func(*Deps)) RebuildReport {
	w.t.Helper()
	opts := rebuildOptions()
	opts.IdleTimeout, opts.MemoryBytes, opts.Verify = w.waits, state.MinLoadMemory, true
	deps := w.deps()
	if change != nil {
		change(&deps)
	}
	report, err := Rebuild(context.Background(), w.cfg, RulesConfig{}, opts, deps)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range report.Differences {
		w.t.Errorf("%s %s", d.Key, d.What)
	}
	return report
}

// mustRebuild fails unless a rebuilt state has the totals and the positions of the one before.
func (w *world) mustRebuild() {
	w.t.Helper()
	totals, positions := w.totals(), w.positions()
	w.rebuild(nil)
	equal(w.t, w.totals(), totals)
	for i, q := range w.positions() {
		p := positions[i]
		// Outcomes depend on the order of arrival.
		q.Outcomes, q.CaughtUpAt, q.CaughtUpBoot, q.CaughtUpUptime = p.Outcomes, p.CaughtUpAt, p.CaughtUpBoot, p.CaughtUpUptime
		if p != q {
			w.t.Errorf("position %+v, was %+v", q, p)
		}
	}
}

// TestRebuild rebuilds the state of a log that has everything, in bulk up to where the old one stopped and
// in the ordinary way what was pushed after it, and while the rebuild went on.
func TestRebuild(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(t, 3)
	w.cfg.BatchRecords = 100
	w.init()
	push := func(n int) {
		for range n {
			id, moment := rng.IntN(300), rng.IntN(4)+1
			v := strings.Replace(event(fmt.Sprintf("e%d", id), fmt.Sprintf("a%d", rng.IntN(3)), fmt.Sprintf("2025-01-%02d", rng.IntN(3)+1), fmt.Sprint(rng.IntN(4))),
				"2025-01-02T", fmt.Sprintf("2025-01-%02dT", moment+1), 1)
			switch rng.IntN(12) {
			case 0:
				v = fmt.Sprintf(`{"event_id":"e%d","op":"delete","ingested_at":"2025-01-%02dT00:00:00Z"}`, id, moment+1)
			case 1:
				v = strings.Replace(v, `"cost_usd":`, `"cost_usd":-`, 1)
			case 2:
				v = v[:rng.IntN(len(v))]
			}
			w.push(int32(rng.IntN(3)), v)
		}
	}
	push(900)
	w.mustCatchUp()
	push(20)
	var more sync.Once
	report := w.rebuild(func(d *Deps) { d.Progress = func(int64, int64) { more.Do(func() { push(20) }) } })
	if !report.Exchanged || report.Delivered < 920 {
		t.Errorf("%+v", report)
	}
	w.mustCatchUp()
	w.mustRebuild() // the bulk load of all of it
	delivered := int64(0)
	for _, p := range w.positions() {
		delivered += p.Delivered
	}
	if delivered != 940 {
		t.Errorf("%d records, want 940", delivered)
	}
}

// TestRebuildTellsProgress: it does not go back, nor stand at the end before the end.
func TestRebuildTellsProgress(t *testing.T) {
	w := newWorld(t, 2)
	w.init()
	for p := range int32(2) {
		w.push(p, events(int(p)*500, 500)...)
	}
	w.mustCatchUp()
	var told []int64
	w.rebuild(func(d *Deps) {
		d.Progress = func(done, total int64) {
			if total == 1000 {
				told = append(told, done)
			}
		}
	})
	i, found := slices.BinarySearch(told, 500)
	if !slices.IsSorted(told) || !found || i+1 == len(told) || told[len(told)-1] != 1000 {
		t.Errorf("progress %v of 1000, want 500 where all is read, then 1000", told)
	}
}

// TestRebuildThatIsStopped leaves the old state as it is.
func TestRebuildThatIsStopped(t *testing.T) {
	w := newWorld(t, 1)
	w.init()
	w.push(0, events(0, 50)...)
	w.mustCatchUp()
	var before state.Head
	w.read(func(r *state.Reader) { before = r.Head() })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Rebuild(ctx, w.cfg, RulesConfig{}, rebuildOptions(), w.deps()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	w.read(func(r *state.Reader) {
		if r.Head() != before {
			t.Errorf("head %v, was %v", r.Head(), before)
		}
	})
	opts := rebuildOptions()
	opts.MemoryBytes, opts.IdleTimeout = 1, 0
	_, err := Rebuild(context.Background(), w.cfg, RulesConfig{}, opts, w.deps())
	if err == nil || !strings.Contains(err.Error(), "--memory-bytes") || !strings.Contains(err.Error(), "--idle-timeout") {
		t.Errorf("error %v", err)
	}
}

// rebuildOptions are the defaults of the flags.
func rebuildOptions() RebuildOptions {
	return RebuildOptions{IdleTimeout: 5 * time.Minute, MemoryBytes: 128 << 20}
}
