package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"daybook/internal/billing"
	"daybook/internal/clock"
	"daybook/internal/lake"
	"daybook/internal/state"
)

// Deps are the dependencies of a publisher.
type Deps struct {
	Source  Source // needed by Run, Backfill and Verify
	Lake    *lake.Lake
	Now     func() time.Time      // default time.Now
	Clock   func() clock.Reading  // default: the machine's, with Now for its wall clock
	Log     *slog.Logger          // default: none
	Metrics prometheus.Registerer // default: none
	// Progress is called when a day of a tenant is done; may be nil. Calls do not overlap.
	Progress func(t billing.TenantID, done, total int64)
}

// Publisher publishes the tenants of one state into one lake. Its methods must not run concurrently. Several
// publishers may share a lake: each tenant has a lock.
type Publisher struct {
	cfg     Config
	deps    Deps
	metrics *metrics // nil: none are collected
}

// New returns a publisher. cfg must be valid; see Config.Validate.
func New(cfg Config, deps Deps) *Publisher {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Clock == nil {
		deps.Clock = func() clock.Reading { return clock.At(deps.Now) }
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Progress == nil {
		deps.Progress = func(billing.TenantID, int64, int64) {}
	}
	p := &Publisher{cfg: cfg, deps: deps}
	if deps.Metrics != nil {
		p.metrics = newMetrics(deps.Metrics)
	}
	return p
}

// Outcome is the result of a run for one tenant.
type Outcome string

// The outcomes.
const (
	Published  Outcome = "published"
	NothingNew Outcome = "nothing_new"
	DryRun     Outcome = "dry_run"
	Failed     Outcome = "failed"
)

// TenantReport is the report of a run about one tenant.
type TenantReport struct {
	Tenant   billing.TenantID   `json:"tenant_id"`
	Outcome  Outcome            `json:"outcome"`
	Release  int                `json:"release,omitempty"` // the newest one after the run
	AsOf     time.Time          `json:"as_of"`
	Finished int                `json:"finished_release,omitempty"` // a release whose switch was interrupted, completed by this run
	Aside    string             `json:"set_aside,omitempty"`        // where a damaged release was moved
	Days     int                `json:"days_recomputed"`
	Accounts int                `json:"account_days_recomputed"`
	Changes  lake.ChangeSummary `json:"changes"`
	Rows     []lake.ChangeRow   `json:"-"` // this run's ledger
	Gates    []lake.GateResult  `json:"gates,omitempty"`
	Differ   []string           `json:"differences,omitempty"` // account-days that did not change and differ
	Err      error              `json:"-"`
}

// Report is the report of a run.
type Report struct {
	AsOf time.Time `json:"as_of"`
	// Behind names the partitions that are not read up to the newest cutoff.
	Behind  []Behind       `json:"behind,omitempty"`
	Tenants []TenantReport `json:"tenants"`
}

// Err joins the tenants' errors.
func (r *Report) Err() error {
	var all []error
	for _, t := range r.Tenants {
		if t.Err != nil {
			all = append(all, fmt.Errorf("tenant %s: %w", t.Tenant, t.Err))
		}
	}
	return errors.Join(all...)
}

// Window is a range of usage dates, both inclusive.
type Window struct{ From, To billing.Day }

// contains reports whether d is in the window; a nil window holds no day.
func (w *Window) contains(d billing.Day) bool { return w != nil && w.From <= d && d <= w.To }

// Run publishes the days that are due and changed, for every tenant. The error is the first that concerns all
// tenants, or Report.Err.
func (p *Publisher) Run(ctx context.Context) (Report, error) {
	return p.run(ctx, nil, false)
}

// Backfill recomputes every account-day of the due days in w from its events,
// whether or not it changed, and publishes it with everything else that changed,
// in one release: a release is one state of the log, or an event that moved into
// the window or out of it would count twice, or not at all. An account-day that
// did not change and is recomputed to other totals is damage: it fails the gate
// unexpected_change, unless repair.
func (p *Publisher) Backfill(ctx context.Context, w Window, repair bool) (Report, error) {
	if w.From > w.To {
		return Report{}, fmt.Errorf("%w: window ends (%s) before it begins (%s)", ErrUsage, w.To, w.From)
	}
	return p.run(ctx, &w, repair)
}

func (p *Publisher) run(ctx context.Context, w *Window, repair bool) (report Report, err error) {
	started := p.deps.Now()
	defer func() { p.measure(started, &report, err) }()
	checkpoint, in, err := p.input(ctx)
	if err != nil {
		return Report{AsOf: in.asOf, Behind: in.behind}, err
	}
	defer func() {
		if closeErr := checkpoint.Close(); closeErr != nil {
			p.deps.Log.Warn("failed to drop checkpoint", "err", closeErr)
		}
	}()
	report.AsOf, report.Behind = in.asOf, in.behind
	if p.cfg.ExpectAccounts != "" && w == nil {
		if in.expected, err = readExpectations(p.cfg.ExpectAccounts); err != nil {
			return report, err
		}
	}
	if p.metrics != nil {
		counts, err := in.quarantine()
		if err != nil {
			return report, err
		}
		p.metrics.setQuarantine(counts)
	}
	tenants, err := p.tenants(checkpoint)
	if err != nil {
		return report, err
	}
	for t := range in.expected {
		if !slices.Contains(tenants, t) && len(p.cfg.Tenants) == 0 {
			p.deps.Log.Warn("expected accounts are of a tenant without events", "tenant", t)
		}
	}
	order, changes, err := p.lightestFirst(in, tenants)
	if err != nil {
		return report, err
	}
	for _, t := range order {
		if err := ctx.Err(); err != nil {
			return report, err
		}
		tr := TenantReport{Tenant: t, AsOf: in.asOf, Outcome: Failed}
		if behind := concerning(in.behind, t); len(behind) > 0 && !p.cfg.AllowIncomplete {
			tr.Err = in.incomplete(behind)
		} else {
			tr = p.publishTenant(ctx, in, t, changes[t], w, repair)
		}
		report.Tenants = append(report.Tenants, tr)
	}
	slices.SortFunc(report.Tenants, func(a, b TenantReport) int { return cmp.Compare(a.Tenant, b.Tenant) })
	return report, report.Err()
}

// measure sets the metrics after a run. A failure to read the lake for them does not fail the run.
func (p *Publisher) measure(started time.Time, r *Report, err error) {
	if p.metrics == nil {
		return
	}
	now := p.deps.Now()
	p.metrics.finish(now, now.Sub(started), r, err)
	s, err := p.measureReleases(r)
	if err != nil {
		p.deps.Log.Warn("failed to compute lake metrics", "err", err)
		return
	}
	p.metrics.setReleaseStats(s)
}

// tenants are the tenants to publish: those of the configuration, or all of the state and the lake.
func (p *Publisher) tenants(c *Checkpoint) ([]billing.TenantID, error) {
	all, err := c.Tenants()
	if err != nil {
		return nil, fmt.Errorf("list tenants of the state: %w", err)
	}
	inLake, err := p.deps.Lake.Tenants()
	if err != nil {
		return nil, fmt.Errorf("list tenants of the lake: %w", err)
	}
	all = append(all, inLake...)
	slices.Sort(all)
	all = slices.Compact(all)
	for i := len(all) - 1; i >= 0; i-- {
		if slices.Contains(inLake, all[i]) {
			continue
		}
		// A tenant whose events were deleted and whose releases were removed is not published again.
		if has, err := hasContent(c.Reader, all[i]); err != nil {
			return nil, err
		} else if !has {
			all = slices.Delete(all, i, i+1)
		}
	}
	if len(p.cfg.Tenants) == 0 {
		return all, nil
	}
	for _, t := range p.cfg.Tenants {
		if !slices.Contains(all, t) {
			return nil, fmt.Errorf("%w: tenant %q has neither an event in the state nor a release in the lake", ErrUsage, t)
		}
	}
	return p.cfg.Tenants, nil
}

// hasContent reports whether the state has an event or an open quarantined record of a tenant. It stops at the first.
func hasContent(r *state.Reader, t billing.TenantID) (bool, error) {
	for _, err := range r.Withheld(t) {
		return err == nil, err
	}
	last := AllDays.From
	for m, err := range r.Markers(t, AllDays.From, AllDays.To) {
		if err != nil {
			return false, fmt.Errorf("read markers: %w", err)
		}
		if m.AccountDay.Day == last {
			continue
		}
		last = m.AccountDay.Day
		for _, err := range r.Events(t, last, "", "") {
			return err == nil, err
		}
	}
	return false, nil
}

// AllDays is the window of every day.
var AllDays = Window{From: math.MinInt32, To: math.MaxInt32}
