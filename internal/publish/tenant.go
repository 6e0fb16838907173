package publish

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"daybook/internal/billing"
	"daybook/internal/inspect"
	"daybook/internal/lake"
	"daybook/internal/state"
)

// maxTiesNamed is how many tied events a manifest names.
const maxTiesNamed = 1000

// tenantRun is the run for one tenant.
type tenantRun struct {
	*Publisher
	in      *input
	tenant  billing.TenantID
	series  *lake.Series
	changes *changes // since the newest release, as the run found it before the tenant was locked; may be nil
	window  *Window
	repair  bool
	prev    *lake.Manifest
	own     map[lake.Dataset]*dimensionFile // the tenant's own dimension files
	report  TenantReport
}

// publishTenant publishes one tenant. An error is in the report.
func (p *Publisher) publishTenant(ctx context.Context, in *input, tenant billing.TenantID, found *changes, w *Window, repair bool) TenantReport {
	t := &tenantRun{
		Publisher: p, in: in, tenant: tenant, changes: found, window: w, repair: repair,
		series: p.deps.Lake.Tenant(tenant),
		report: TenantReport{Tenant: tenant, AsOf: in.asOf, Outcome: Failed},
	}
	if err := t.locked(ctx); err != nil {
		t.report.Outcome, t.report.Err = Failed, err
	}
	return t.report
}

// locked runs under the tenant's lock.
func (t *tenantRun) locked(ctx context.Context) error {
	unlock, err := t.series.Lock()
	if err != nil {
		return fmt.Errorf("lock the lake: %w", err)
	}
	return errors.Join(t.run(ctx), unlock())
}

func (t *tenantRun) run(ctx context.Context) error {
	if err := t.open(); err != nil {
		return err
	}
	planner := planner{in: t.in, tenant: t.tenant, cutoff: t.cfg.Cutoff, prev: t.prev, window: t.window, changes: t.changes}
	work, err := planner.plan()
	if err != nil {
		return err
	}
	if t.window == nil {
		if t.own, err = readDimensionFiles(t.cfg.Dimensions, t.tenant); err != nil {
			return err
		}
	}
	needed := work.any()
	if !needed && t.prev != nil {
		if needed, err = t.restyled(); err != nil {
			return err
		}
	}
	if !needed {
		t.report.Outcome = NothingNew
		return nil
	}
	number := 1
	if t.prev != nil {
		number = t.prev.Release + 1
	}
	build, err := t.series.Begin(number, t.prev)
	if err != nil {
		return fmt.Errorf("begin release %d: %w", number, err)
	}
	m, err := t.fill(ctx, build, work, number)
	if err == nil && !t.cfg.DryRun {
		if err = build.Publish(m); err != nil {
			err = fmt.Errorf("publish release %d: %w", number, err)
		}
	}
	if err != nil {
		return errors.Join(err, build.Abort())
	}
	if t.cfg.DryRun {
		t.report.Outcome = DryRun
		return build.Abort()
	}
	t.report.Outcome, t.report.Release = Published, number
	if err := t.deps.Source.SetCovered(ctx, t.tenant, state.Sequence(m.Covered)); err != nil {
		t.deps.Log.Warn("failed to record covered sequence", "tenant", t.tenant, "err", err)
	}
	return nil
}

// open recovers from an interrupted run and checks that this run may publish.
func (t *tenantRun) open() error {
	found, err := t.series.Recover()
	if err != nil {
		return fmt.Errorf("recover the lake: %w", err)
	}
	t.report.Finished, t.report.Aside = found.Finished, found.Aside
	if found.Finished != 0 {
		t.deps.Log.Warn("completed interrupted release switch", "tenant", t.tenant, "release", found.Finished)
	}
	if found.Aside != "" {
		t.deps.Log.Error("moved damaged release aside", "tenant", t.tenant, "path", found.Aside)
	}
	if t.prev, err = t.series.Current(); err != nil {
		return fmt.Errorf("read the newest release: %w", err)
	}
	hold, err := t.series.Hold()
	if err != nil {
		return fmt.Errorf("read the hold: %w", err)
	}
	if t.prev == nil {
		return nil
	}
	t.report.Release = t.prev.Release
	if hold != nil {
		return fmt.Errorf("%w since %s (%s): `publisher resume` lifts it", ErrHold, hold.Since.UTC().Format(time.RFC3339), hold.Why)
	}
	if err := t.checkInput(); errors.Is(err, ErrAsOf) || errors.Is(err, ErrBehind) {
		if t.prev.Release > t.in.before[t.tenant] {
			return fmt.Errorf("%w: another run published release %d from newer input while this one read its own: nothing to do, or run again", lake.ErrTaken, t.prev.Release)
		}
		return err
	} else if err != nil {
		return err
	}
	return t.checkAttributes()
}

// checkInput refuses input that is older than the input of the newest release.
func (t *tenantRun) checkInput() error {
	if t.in.asOf.Before(t.prev.AsOf) {
		return fmt.Errorf("%w: %s, release %d is as of %s", ErrAsOf, t.in.asOf.Format(time.RFC3339), t.prev.Release, t.prev.AsOf.UTC().Format(time.RFC3339))
	}
	highest, err := t.highestInput()
	if err != nil {
		return err
	}
	return t.in.notBehind(highest)
}

// highestInput is the newest release that is not a rollback. It has read at least as far as all earlier releases.
func (t *tenantRun) highestInput() (*lake.Manifest, error) {
	m := t.prev
	for m.RolledBackFrom != 0 {
		var err error
		if m, err = t.series.Manifest(m.RolledBackFrom); err != nil {
			return nil, fmt.Errorf("read the release that was rolled back: %w", err)
		}
	}
	return m, nil
}

// notBehind refuses a state of another log, or of fewer records than a release was made from.
func (in *input) notBehind(m *lake.Manifest) error {
	if m.Cluster != in.identity.Cluster {
		return fmt.Errorf("%w: release %d read cluster %q, this state reads %q: name the lake or the state that belongs to it", ErrOtherState, m.Release, m.Cluster, in.identity.Cluster)
	}
	for _, read := range m.Input {
		at := slices.IndexFunc(in.identity.Topics, func(t state.Topic) bool { return t.Name == read.Topic })
		if at < 0 {
			return fmt.Errorf("%w: release %d read topic %q, which this state does not", ErrOtherState, m.Release, read.Topic)
		}
		topic := in.identity.Topics[at]
		if topic.ID != read.TopicID {
			return fmt.Errorf("%w: release %d read topic %q with id %q, this state's has %q: the topic was deleted and recreated", ErrOtherState, m.Release, read.Topic, read.TopicID, topic.ID)
		}
		next := int64(-1)
		for i := range in.positions {
			p := &in.positions[i]
			if p.Partition.Topic == topic.Ordinal && p.Partition.Partition == read.Partition {
				next = p.NextOffset
			}
		}
		if next < read.NextOffset {
			return fmt.Errorf("%w: release %d has read %s/%d up to offset %d, this state up to %d: let ingest catch up", ErrBehind, m.Release, read.Topic, read.Partition, read.NextOffset, max(next, 0))
		}
	}
	return nil
}

// fill computes, writes and checks a release and returns its manifest. The results of the gates are in the report,
// also if they fail.
func (t *tenantRun) fill(ctx context.Context, build *lake.Build, w *plan, number int) (*lake.Manifest, error) {
	results, err := t.days(ctx, build, w)
	if err != nil {
		return nil, err
	}
	m := t.manifest(number)
	m.Expected = w.expected
	var failed faults
	count := 0
	for _, r := range results {
		count += len(r.changes)
	}
	changes := make([]lake.ChangeRow, 0, count)
	for _, r := range results {
		changes = append(changes, r.changes...)
		failed.merge(r.faults)
		t.report.Differ = append(t.report.Differ, r.differ...)
		for _, f := range r.links {
			if err := build.Link(f); err != nil {
				return nil, fmt.Errorf("link %s: %w", f.Path, err)
			}
		}
		m.Days = append(m.Days, r.entry)
	}
	if !t.repair {
		for _, line := range t.report.Differ {
			failed.add(gateUnexpected, line)
		}
	}
	t.report.Rows = changes
	if m.Changes, err = summarize(changes); err != nil {
		return nil, err
	}
	t.report.Changes = m.Changes
	if err := t.ledger(build, changes); err != nil {
		return nil, err
	}
	if err := t.dimensions(build, results); err != nil {
		return nil, err
	}
	for _, ds := range slices.Sorted(maps.Keys(t.own)) {
		for _, line := range t.own[ds].faults {
			failed.add(gateDimension, line)
		}
	}
	if err := t.describe(m, w); err != nil {
		return nil, err
	}
	m.Files = build.Files()

	t.checkEmptyDays(m, &failed)
	checkPlacement(w.changed, results, &failed)
	checkFiles(m, &failed)
	checkLedger(t.prev, m, &failed)
	checkLimits(&t.cfg.Limits, t.prev, m, changes, &failed)
	lines, err := build.ReadBack()
	if err != nil {
		return nil, fmt.Errorf("read back release %d: %w", number, err)
	}
	for _, line := range lines {
		failed.add(gateReadBack, line)
	}
	m.Gates = failed.results()
	t.report.Gates = m.Gates
	return m, failed.err(t.prev)
}

// days computes the days that changed, a few concurrently, and links the others. The results ascend by day.
func (t *tenantRun) days(ctx context.Context, build *lake.Build, w *plan) ([]*dayResult, error) {
	b := &dayBuilder{
		reader: t.in.reader, series: t.series, build: build, prev: t.prev, tenant: t.tenant,
		asOf: t.in.asOf, head: uint64(t.in.head.Sequence), cutBy: t.cfg.RowsPerFile,
		negative: t.in.identity.Rules.NegativeFor(t.tenant) != billing.RejectNegative,
		topics:   t.in.topics, attributes: t.cfg.Attributes,
	}
	results := make([]*dayResult, len(w.days))
	var done struct {
		sync.Mutex
		days int64
	}
	todo := int64(0)
	for _, day := range w.days {
		if !day.idle {
			todo++
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(t.cfg.Workers)
	for i, day := range w.days {
		if day.idle {
			results[i] = b.link(day)
			continue
		}
		g.Go(func() error {
			r, err := b.compute(ctx, day)
			if err != nil {
				return err
			}
			results[i] = r
			done.Lock()
			defer done.Unlock()
			done.days++
			t.report.Days++
			t.report.Accounts += r.computed
			t.deps.Progress(t.tenant, done.days, todo)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return results, nil
}

// manifest returns the manifest of release number without days, files and gates.
func (t *tenantRun) manifest(number int) *lake.Manifest {
	m := &lake.Manifest{
		Tenant: t.tenant, Release: number, AsOf: t.in.asOf, Cutoff: t.cfg.Cutoff.String(),
		Database: string(t.in.identity.Database), Cluster: t.in.identity.Cluster,
		Covered: uint64(t.in.head.Sequence), JournalDigest: hex.EncodeToString(t.in.head.Digest[:]),
		RulesDigest: hexDigest(t.in.identity.Rules.Digest()), Attributes: t.cfg.Attributes.String(),
		Input: t.in.inputPositions(),
	}
	if t.prev != nil {
		m.Previous = t.prev.Release
	}
	if t.window != nil {
		m.Backfill = &lake.Window{From: t.window.From, To: t.window.To}
	}
	t.in.basis(m)
	return m
}

// describe adds to the manifest the days without rows, the ties, and the quarantine.
func (t *tenantRun) describe(m *lake.Manifest, w *plan) error {
	released := map[billing.Day]bool{}
	last := billing.Day(0)
	for i, day := range w.days {
		if m.Days[i].AccountDays > 0 {
			released[day.day], last = true, day.day
		}
		for id, err := range t.in.reader.Ties(t.tenant, day.day) {
			if err != nil {
				return fmt.Errorf("read ties of %s: %w", day.day, err)
			}
			m.TieCount++
			if len(m.Ties) < maxTiesNamed {
				m.Ties = append(m.Ties, string(id))
			}
		}
	}
	if len(released) > 0 {
		for d := last + 1; d <= t.in.lastDue && len(m.NotComplete) < maxNotComplete; d++ {
			m.NotComplete = append(m.NotComplete, lake.DayEntry{
				Day: d, Completeness: inspect.Incomplete,
				Reasons: append(t.in.dayReasons(t.tenant, d, t.cfg.Cutoff), inspect.ReasonNoEvents),
			})
		}
	}
	counts, err := t.in.quarantine()
	if err != nil {
		return err
	}
	m.Quarantine = append(slices.Clone(counts[t.tenant]), counts[""]...)
	slices.SortFunc(m.Quarantine, compareQuarantine)
	return nil
}
