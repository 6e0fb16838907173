package publish

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"daybook/internal/clock"
)

// measured runs a publisher and returns its metrics: "name" or "name label value" to value, without their prefix.
func (w *world) measured() (map[string]float64, error) {
	w.t.Helper()
	reg := prometheus.NewRegistry()
	p := w.publisher()
	p = New(w.cfg, Deps{Source: p.deps.Source, Lake: w.lake, Now: w.clock, Clock: w.reading, Metrics: reg})
	_, err := p.Run(context.Background())
	families, gatherErr := reg.Gather()
	w.check(gatherErr)
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := strings.TrimPrefix(f.GetName(), "daybook_publish_")
			for _, l := range m.Label {
				name += " " + l.GetName() + " " + l.GetValue()
			}
			values[name] = m.Gauge.GetValue()
		}
	}
	return values, err
}

// expect compares some of the metrics.
func expect(t *testing.T, when string, got, want map[string]float64) {
	t.Helper()
	for name, v := range want {
		if g, there := got[name]; !there || g != v {
			t.Errorf("%s: %s is %v, want %v", when, name, g, v)
		}
	}
}

func TestMetricsSayWhatARunCameTo(t *testing.T) {
	w := newWorld(t)
	w.now = at("2025-01-08T02:00:30Z")
	w.week()
	w.push(event("q", "a1", "compute", "2025-01-07", "-2.5", 1))
	w.caughtUp()
	got, err := w.measured()
	w.check(err)
	expect(t, "first release", got, map[string]float64{
		"run_failed": 0, "last_run_timestamp_seconds": float64(w.now.Unix()), "behind_partitions": 0,
		"tenants outcome published": 1, "tenants outcome failed": 0, "failed_gates gate read_back": 0,
		"recomputed_account_days": 14, "changed_account_days kind new": 14, "restated_usd": 0,
		"quarantine_records": 1, "quarantine_readable_usd": -2.5,
		"late_days reason unreleased": 0, "late_days reason input_behind": 0,
		// The week before the first release does not count: the newest day was 30 s late.
		"worst_lateness_seconds":             30,
		"complete_through_timestamp_seconds": float64(at("2025-01-08T02:00:00Z").Unix()),
		"days completeness complete":         6, "days completeness incomplete": 1, "days completeness no_events": 0,
		"releases": 1, "tenants_on_hold": 0,
	})
	if got["release_bytes"] <= 0 || got["newest_release_own_bytes"] != got["release_bytes"] {
		t.Errorf("release of %v bytes, %v its own", got["release_bytes"], got["newest_release_own_bytes"])
	}

	// A correction the next night, and nothing for the day that is newly due.
	w.now = at("2025-01-09T02:00:10Z")
	w.push(event("a1-3", "a1", "compute", "2025-01-03", "1.5", 2))
	w.caughtUp()
	got, err = w.measured()
	w.check(err)
	expect(t, "correction", got, map[string]float64{
		"changed_account_days kind new": 0, "changed_account_days kind restated": 1, "restated_usd": 1.5,
		"worst_lateness_seconds": 0, "days completeness no_events": 1, "releases": 2,
		"complete_through_timestamp_seconds": float64(at("2025-01-09T02:00:00Z").Unix()),
	})
	if got["newest_release_own_bytes"] >= got["release_bytes"]/2 {
		t.Errorf("a correction of one day owns %v of %v bytes", got["newest_release_own_bytes"], got["release_bytes"])
	}

	// A night without changes is not late.
	w.now = at("2025-01-10T02:00:10Z")
	w.caughtUp()
	got, err = w.measured()
	w.check(err)
	expect(t, "quiet night", got, map[string]float64{
		"tenants outcome nothing_new": 1, "restated_usd": 0, "late_days reason unreleased": 0, "worst_lateness_seconds": 0,
		"complete_through_timestamp_seconds": float64(at("2025-01-10T02:00:00Z").Unix()),
	})
}

func TestLatenessGrowsUntilADayIsOut(t *testing.T) {
	w := newWorld(t)
	w.now = at("2025-01-08T02:00:00Z")
	w.week()
	_, err := w.measured()
	w.check(err)

	// Two nights without input: both days are late, the first of them for a day and an hour.
	w.push(event("late", "a1", "compute", "2025-01-08", "1", 3))
	w.now = at("2025-01-10T03:00:00Z")
	got, err := w.measured()
	if !errors.Is(err, ErrIncomplete) {
		t.Fatal(err)
	}
	expect(t, "input behind", got, map[string]float64{
		"run_failed": 1, "behind_partitions": 1, "late_days reason unreleased": 2, "worst_lateness_seconds": (25 * time.Hour).Seconds(),
		"complete_through_timestamp_seconds": float64(at("2025-01-08T02:00:00Z").Unix()), "releases": 1,
	})

	// Published with --allow-incomplete, they are still late: not with all of their input.
	w.cfg.AllowIncomplete = true
	got, err = w.measured()
	w.check(err)
	expect(t, "allowed", got, map[string]float64{
		"run_failed": 0, "late_days reason unreleased": 0, "late_days reason input_behind": 1, "worst_lateness_seconds": (25 * time.Hour).Seconds(),
		"complete_through_timestamp_seconds": float64(at("2025-01-08T02:00:00Z").Unix()),
	})

	w.caughtUp()
	got, err = w.measured()
	w.check(err)
	expect(t, "caught up", got, map[string]float64{
		"late_days reason unreleased": 0, "late_days reason input_behind": 0,
		"complete_through_timestamp_seconds": float64(at("2025-01-10T02:00:00Z").Unix()),
	})

	// A failed gate blocks the next day, and is named.
	w.push(event("a1-3", "a1", "compute", "2025-01-03", "1.5", 4))
	w.now = at("2025-01-11T02:30:00Z")
	w.caughtUp()
	w.cfg.Limits.MaxRestatedDays = 0
	got, err = w.measured()
	if !errors.Is(err, ErrGate) {
		t.Fatal(err)
	}
	expect(t, "gate", got, map[string]float64{
		"run_failed": 1, "failed_gates gate restatements": 1, "failed_gates gate read_back": 0, "restated_usd": 0,
		"late_days reason unreleased": 1, "worst_lateness_seconds": (30 * time.Minute).Seconds(),
	})
}

func TestFollowPublishesAtEachCutoff(t *testing.T) {
	w := newWorld(t)
	w.now = at("2025-01-08T01:58:00Z")
	w.week()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w.cfg.Poll = time.Microsecond
	// Each reading of the clock advances it by a second; input is read up to then.
	look := func() time.Time { w.now = w.now.Add(time.Second); return w.now }
	both := func() clock.Reading { look(); return w.reading() }
	p := New(w.cfg, Deps{Source: Store{Store: w.store, Dir: filepath.Join(w.stateDir, "copies"), Options: w.options()}, Lake: w.lake, Now: look, Clock: both})
	type run struct {
		asOf time.Time
		err  error
	}
	var runs []run
	p.Follow(ctx, func(r Report, err error) {
		runs = append(runs, run{r.AsOf, err})
		switch len(runs) {
		case 2: // at the cutoff of the 7th, for which no input was read yet
		case 3:
			w.caughtUp()
		case 4:
			w.now = at("2025-01-09T01:59:00Z")
		case 5:
			cancel()
		}
	})
	if len(runs) != 5 {
		t.Fatalf("%d runs", len(runs))
	}
	for i, want := range []struct {
		from string
		err  error
	}{
		{"2025-01-08T01:58:00Z", nil}, // what is due already
		{"2025-01-08T02:00:00Z", ErrIncomplete},
		{"2025-01-08T02:00:30Z", ErrIncomplete}, // half a minute later
		{"2025-01-08T02:01:30Z", nil},           // and a minute after that
		{"2025-01-09T02:00:00Z", ErrIncomplete}, // at the next cutoff
	} {
		got := runs[i]
		if !errors.Is(got.err, want.err) || got.asOf.Before(at(want.from)) && got.err == nil || got.asOf.Sub(at(want.from)) > 30*time.Second {
			t.Errorf("run %d as of %s: %v; want from %s on: %v", i+1, got.asOf, got.err, want.from, want.err)
		}
	}
}
