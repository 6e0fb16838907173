package publish

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"daybook/internal/audit"
	"daybook/internal/billing"
	"daybook/internal/lake"
)

// moved is a world whose first release has e1 on 2025-01-02 with 100 dollars, beside one dollar on each of
// 2025-01-02 and 2025-01-03, and in which e1 has moved to 2025-01-03 since.
func moved(t *testing.T) *world {
	w := newWorld(t)
	w.push(
		event("e1", "a1", "compute", "2025-01-02", "100", 1),
		event("e2", "a1", "compute", "2025-01-03", "1", 1),
		event("e3", "a1", "compute", "2025-01-02", "1", 1),
	)
	w.caughtUp()
	w.publish()
	w.push(event("e1", "a1", "compute", "2025-01-03", "100", 2))
	w.caughtUp()
	return w
}

var january = Window{From: day("2025-01-01"), To: day("2025-01-31")}

// oneDay is a window of one day.
func oneDay(d string) Window { return Window{From: day(d), To: day(d)} }

// TestBackfillPublishesBothDaysOfAMove: an event that moved between a day in a backfill's window and a day outside
// it counts once, whichever of the two days is in the window.
func TestBackfillPublishesBothDaysOfAMove(t *testing.T) {
	want := []string{"2025-01-02 a1 1", "2025-01-03 a1 101"}
	for _, window := range []Window{oneDay("2025-01-02"), oneDay("2025-01-03"), oneDay("2025-01-01"), january} {
		w := moved(t)
		report, err := w.publisher().Backfill(t.Context(), window, false)
		w.check(err)
		if got := w.rows(); !slices.Equal(got, want) {
			t.Errorf("backfill of %s to %s: rows %q, want %q", window.From, window.To, got, want)
		}
		if c := report.Tenants[0].Changes; c.Restated != 2 || c.Delta.Sign() != 0 {
			t.Errorf("backfill of %s to %s: changes %+v", window.From, window.To, c)
		}
		w.verifies()
		w.audited(0)
		w.nothing()
	}
}

// TestBackfillPublishesADayThatBecameDue: an event that moves from a day in the window to one that no release has
// yet is in the backfill's release.
func TestBackfillPublishesADayThatBecameDue(t *testing.T) {
	w := moved(t)
	w.push(event("e1", "a2", "compute", "2025-01-05", "100", 3))
	w.caughtUp()
	w.cfg.AllowEmptyDays = true
	_, err := w.publisher().Backfill(t.Context(), oneDay("2025-01-02"), false)
	w.check(err)
	if got, want := w.rows(), []string{"2025-01-02 a1 1", "2025-01-03 a1 1", "2025-01-05 a2 100"}; !slices.Equal(got, want) {
		t.Errorf("rows %q, want %q", got, want)
	}
	w.audited(0)
	w.nothing()
}

// partial plans a release in which the days outside a window keep their released rows although they changed:
// what no release may be.
func (w *world) partial(in *input, window Window) (*tenantRun, *plan) {
	w.t.Helper()
	r := &tenantRun{Publisher: w.publisher(), in: in, tenant: billing.DefaultTenant, series: w.series()}
	w.check(r.open())
	planner := planner{in: in, tenant: r.tenant, cutoff: r.cfg.Cutoff, prev: r.prev}
	plan, err := planner.plan()
	w.check(err)
	for _, d := range plan.days {
		d.idle = d.idle || !window.contains(d.day)
	}
	return r, plan
}

// publishPartial publishes such a release without its gates.
func (w *world) publishPartial(window Window) {
	w.t.Helper()
	p := w.publisher()
	c, in, err := p.input(w.t.Context())
	w.check(err)
	defer func() { w.check(c.Close()) }()
	r, plan := w.partial(in, window)
	number := r.prev.Release + 1
	build, err := r.series.Begin(number, r.prev)
	w.check(err)
	m, err := r.fill(w.t.Context(), build, plan, number)
	if !errors.Is(err, ErrGate) {
		w.t.Fatalf("the gates say %v", err)
	}
	if m == nil {
		w.t.Fatal("no manifest")
	}
	w.check(build.Publish(m))
}

// TestGateEventPlacement: a release that keeps the released rows of a day whose events changed is refused.
func TestGateEventPlacement(t *testing.T) {
	for _, c := range []struct{ window, kept string }{{"2025-01-02", "2025-01-03"}, {"2025-01-03", "2025-01-02"}} {
		w := moved(t)
		checkpoint, in, err := w.publisher().input(t.Context())
		w.check(err)
		r, plan := w.partial(in, oneDay(c.window))
		build, err := r.series.Begin(2, r.prev)
		w.check(err)
		if _, err := r.fill(t.Context(), build, plan, 2); !errors.Is(err, ErrGate) {
			t.Errorf("only %s: %v", c.window, err)
		}
		for _, g := range r.report.Gates {
			if failed := g.Gate == gatePlacement; g.Passed == failed {
				t.Errorf("only %s: gate %s passed: %t, %q", c.window, g.Gate, g.Passed, g.Detail)
			} else if failed && !strings.Contains(strings.Join(g.Detail, " "), `account "a1" on `+c.kept) {
				t.Errorf("only %s: gate says %q", c.window, g.Detail)
			}
		}
		w.check(errors.Join(build.Abort(), checkpoint.Close()))
	}
}

// TestVerifyAndAuditNameMisplacedEvents: of a release in which an event is twice, or not at all, each number is the
// sum of the rows below it; verify and audit name the event.
func TestVerifyAndAuditNameMisplacedEvents(t *testing.T) {
	for _, c := range []struct {
		window, rows string
		verify       []string
		audit        string
	}{
		{"2025-01-03", "2025-01-02 a1 101, 2025-01-03 a1 101", []string{
			`event "e1" is in 2 account-days: account "a1" on 2025-01-02, account "a1" on 2025-01-03`,
			`event "e1" of account "a1" on 2025-01-02 is not in the state`,
		}, "normalized_billing_events 2025-01-02 a1 e1 extra   100"},
		{"2025-01-02", "2025-01-02 a1 1, 2025-01-03 a1 1", []string{
			`event "e1" of account "a1" on 2025-01-03 is not in the release`,
		}, "normalized_billing_events 2025-01-03 a1 e1 missing  100 "},
	} {
		w := moved(t)
		w.publishPartial(oneDay(c.window))
		if got := strings.Join(w.rows(), ", "); got != c.rows {
			t.Fatalf("only %s: rows %s, want %s", c.window, got, c.rows)
		}
		all, err := w.publisher().Verify(t.Context())
		if !errors.Is(err, ErrDifference) {
			t.Errorf("only %s: verify says %v", c.window, err)
		}
		for _, line := range c.verify {
			if !slices.Contains(all[0].Differ, line) {
				t.Errorf("only %s: verify does not say %q, it says %q", c.window, line, all[0].Differ)
			}
		}
		r := w.audit(0, asIs)
		if !errors.Is(r.Err(), audit.ErrDifference) || !slices.Contains(lines(r), c.audit) {
			t.Errorf("only %s: the audit says %q", c.window, lines(r))
		}
		// The next run does not see it, the numbers are covered; a backfill repairs it.
		w.nothing()
		if _, err := w.publisher().Backfill(t.Context(), january, false); !errors.Is(err, ErrGate) {
			t.Errorf("only %s: backfill says %v", c.window, err)
		}
		_, err = w.publisher().Backfill(t.Context(), january, true)
		w.check(err)
		w.verifies()
		w.audited(0)
	}
}

// TestVerifyNamesARepeatedEventInChangedDays: an event that is twice is named also where the account-days that hold
// it changed since the release, which verify cannot compare with the state.
func TestVerifyNamesARepeatedEventInChangedDays(t *testing.T) {
	w := moved(t)
	w.publishPartial(oneDay("2025-01-03"))
	w.push(event("e2", "a1", "compute", "2025-01-03", "2", 3), event("e3", "a1", "compute", "2025-01-02", "2", 3))
	w.caughtUp()
	all, err := w.publisher().Verify(t.Context())
	if !errors.Is(err, ErrDifference) || len(all) != 1 || all[0].Skipped != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	if want := `event "e1" is in 2 account-days: account "a1" on 2025-01-02, account "a1" on 2025-01-03`; !slices.Equal(all[0].Differ, []string{want}) {
		t.Errorf("verify says %q", all[0].Differ)
	}
	if m := w.current(); m.Changes == (lake.ChangeSummary{}) {
		t.Errorf("changes %+v", m.Changes)
	}
}
