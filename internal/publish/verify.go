package publish

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"daybook/internal/billing"
	"daybook/internal/inspect"
	"daybook/internal/lake"
	"daybook/internal/rollup"
)

// Verification is a release held against its files' hashes and against the
// events in the state.
type Verification struct {
	Tenant   billing.TenantID `json:"tenant_id"`
	Release  int              `json:"release"`
	Files    int              `json:"files"`
	Days     int              `json:"days"`
	Accounts int              `json:"account_days"`
	Events   int64            `json:"events"`
	// Skipped are account-days that changed since the release: they cannot be compared.
	Skipped int      `json:"account_days_changed_since"`
	Differ  []string `json:"differences,omitempty"`
	Err     error    `json:"-"`
}

// Verify recomputes everything that the newest release of each tenant holds, and
// reads every file of it. Account-days that changed since are left out.
func (p *Publisher) Verify(ctx context.Context) ([]Verification, error) {
	c, err := p.deps.Source.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := c.Close(); closeErr != nil {
			p.deps.Log.Warn("failed to drop checkpoint", "err", closeErr)
		}
	}()
	in, err := p.readInput(c)
	if err != nil {
		return nil, err
	}
	tenants, err := p.tenants(c)
	if err != nil {
		return nil, err
	}
	var all []Verification
	var failed []error
	for _, t := range tenants {
		s := p.deps.Lake.Tenant(t)
		m, err := s.Current()
		if err == nil && m == nil {
			continue
		}
		v := Verification{Tenant: t}
		if err == nil {
			v.Release, v.Files = m.Release, len(m.Files)
			err = (&verifier{p: p, in: in, series: s, m: m, v: &v}).verify(ctx)
		}
		if err == nil && len(v.Differ) > 0 {
			err = fmt.Errorf("%w: release %d and the state: %s", ErrDifference, m.Release, v.Differ[0])
		}
		if v.Err = err; err != nil {
			failed = append(failed, fmt.Errorf("tenant %s: %w", t, err))
		}
		all = append(all, v)
	}
	return all, errors.Join(failed...)
}

// verifier verifies one release.
type verifier struct {
	p      *Publisher
	in     *input
	series *lake.Series
	m      *lake.Manifest
	v      *Verification
	// attributes are those that the release publishes.
	attributes Attributes
}

func (v *verifier) verify(ctx context.Context) error {
	if err := v.series.Verify(v.m, nil); err != nil {
		return err
	}
	if err := v.in.notBehind(v.m); err != nil {
		return err
	}
	var err error
	if v.attributes, err = attributesOf(v.m); err != nil {
		return err
	}
	// The comparison with the state leaves out what changed since the release; this does not.
	repeated, err := v.series.RepeatedEvents(v.m)
	if err != nil {
		return err
	}
	for _, r := range repeated {
		v.differ(r.String())
	}
	for i := range v.m.Days {
		if d := &v.m.Days[i]; d.CoveredSequence != v.m.Covered {
			v.differ(fmt.Sprintf("%s has the events as of change %d of the state, the release as of change %d", d.Day, d.CoveredSequence, v.m.Covered))
		}
	}
	planner := planner{in: v.in, tenant: v.v.Tenant, cutoff: v.p.cfg.Cutoff, prev: v.m}
	w, err := planner.plan()
	if err != nil {
		return err
	}
	for i, day := range w.days {
		if day.prev == nil || len(day.files) == 0 {
			continue
		}
		if !day.known {
			clear(day.dirty) // another state: its sequences say nothing of what changed
		}
		if err := v.day(ctx, day); err != nil {
			return err
		}
		v.v.Days++
		v.p.deps.Progress(v.v.Tenant, int64(i+1), int64(len(w.days)))
	}
	var sums faults
	checkFiles(v.m, &sums)
	for _, line := range slices.Concat(sums[gateTotals], sums[gateCounts]) {
		v.differ(line)
	}
	return nil
}

// day compares a day's released events and totals with the state, which is scanned once.
func (v *verifier) day(ctx context.Context, w *dayPlan) error {
	b := &dayBuilder{series: v.series, prev: v.m, tenant: v.v.Tenant}
	old, err := b.released(w)
	if err != nil {
		return err
	}
	folds, differences, err := v.events(ctx, w)
	if err != nil {
		return err
	}
	v.totals(w, b, old, folds)
	for _, line := range differences {
		v.differ(line)
	}
	return nil
}

// totals compares a day's released rows with the totals of its events in the state.
func (v *verifier) totals(w *dayPlan, b *dayBuilder, old dayRows, folds []accountTotals) {
	fresh := make(map[billing.AccountID]*rollup.Totals, len(folds))
	for i := range folds {
		fresh[folds[i].account] = &folds[i].totals
	}
	services := old.services
	for i := range old.rows {
		was := &old.rows[i]
		for ; len(services) > 0 && services[0].Account < was.Account; services = services[1:] {
			v.differ(orphanLine(&services[0], w.day))
		}
		var own []lake.ServiceDayRow
		own, services = inspect.ServicesOf(services, was.Account)
		now := fresh[was.Account]
		delete(fresh, was.Account)
		if _, dirty := w.dirty[was.Account]; dirty {
			v.v.Skipped++
			continue
		}
		if now == nil {
			now = &rollup.Totals{}
		}
		if was.Total != now.Total || was.Events != now.Events || !slices.Equal(own, b.appendServices(nil, was.Account, now)) {
			v.differ(differLine(was.Account, w.day, was, now))
		} else {
			v.v.Accounts++
		}
	}
	for i := range services {
		v.differ(orphanLine(&services[i], w.day))
	}
	for _, a := range slices.Sorted(maps.Keys(fresh)) {
		if _, dirty := w.dirty[a]; dirty {
			v.v.Skipped++
			continue
		}
		now := fresh[a]
		v.differ(differLine(a, w.day, nil, now))
	}
}

// orphanLine names a released service-day of an account that has no account-day.
func orphanLine(s *lake.ServiceDayRow, d billing.Day) string {
	return fmt.Sprintf("account %q on %s: released service %q with %s of %d events, and no account-day", s.Account, d, s.Service, s.Total, s.Events)
}

// events merges a day's released events with its winners, which have the same order, and folds the winners. The
// differences leave out account-days that changed since the release.
func (v *verifier) events(ctx context.Context, w *dayPlan) (folds []accountTotals, differences []string, err error) {
	next, stop := iter.Pull2(eventsOf(ctx, v.in.reader, v.v.Tenant, w.day, "", ""))
	defer stop()
	folder := folder{fold: &rollup.Fold{NoDigest: true}}
	var winner *billing.Event
	var more bool
	advance := func() error {
		if winner, err, more = next(); err != nil {
			return fmt.Errorf("read events of %s: %w", w.day, err)
		}
		if more {
			return folder.add(winner)
		}
		return nil
	}
	differ := func(e *billing.Event, what string) {
		if len(differences) < maxDifferences {
			differences = append(differences, fmt.Sprintf("event %q of account %q on %s %s", e.ID, e.Account, w.day, what))
		}
	}
	if err := advance(); err != nil {
		return nil, nil, err
	}
	dirty := func(a billing.AccountID) bool { _, ok := w.dirty[a]; return ok }
	for _, f := range v.m.EventFiles(w.day) {
		for row, err := range v.series.ReadVerifiedEvents(v.m, f) {
			if err != nil {
				return nil, nil, fmt.Errorf("read events of %s: %w", w.day, err)
			}
			e := &row.Event
			for more && before(winner, e) {
				if !dirty(winner.Account) {
					differ(winner, "is not in the release")
				}
				if err := advance(); err != nil {
					return nil, nil, err
				}
			}
			same := more && winner.ID == e.ID && winner.Account == e.Account
			published := *e
			if same {
				published = *winner
				if published.Attributes, err = v.attributes.of(winner); err != nil {
					return nil, nil, err
				}
			}
			switch {
			case dirty(e.Account):
			case !same:
				differ(e, "is not in the state")
			case e.Digest() != published.Digest():
				differ(e, "has another content in the state")
			default:
				v.v.Events++
			}
			if same {
				if err := advance(); err != nil {
					return nil, nil, err
				}
			}
		}
	}
	for more {
		if !dirty(winner.Account) {
			differ(winner, "is not in the release")
		}
		if err := advance(); err != nil {
			return nil, nil, err
		}
	}
	return folder.end(), differences, nil
}

// before reports whether a comes before b in the order of a day's files.
func before(a, b *billing.Event) bool {
	if a.Account != b.Account {
		return a.Account < b.Account
	}
	return a.ID < b.ID
}

// maxDifferences is the most differences that are kept of a tenant.
const maxDifferences = 1000

func (v *verifier) differ(line string) {
	if len(v.v.Differ) < maxDifferences {
		v.v.Differ = append(v.v.Differ, line)
	}
}
