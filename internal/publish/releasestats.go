package publish

import (
	"fmt"
	"slices"
	"time"

	"daybook/internal/billing"
	"daybook/internal/inspect"
	"daybook/internal/lake"
)

// releaseStats are statistics of the newest releases, tenants added up: lateness and completeness of due days, and
// disk use.
//
// A due day is late when its number is not published with all of its input: its cutoff passed after the newest
// release, and no run has found since that there was nothing to publish; or it was released while input was behind.
type releaseStats struct {
	now     time.Time
	cutoff  TimeOfDay
	lastDue billing.Day

	unreleased, behind             int64         // late days, by reason
	worst                          time.Duration // from a cutoff to now, of late days and of those this run released first
	covered                        time.Time     // the newest cutoff without a late day up to it, in any tenant; zero: no release
	complete, incomplete, noEvents int64         // days as the newest releases list them
	holds, releases                int
	bytes, newest                  int64
}

// measureReleases computes the statistics of the tenants of a run, or of the lake if the run failed before it listed
// them.
func (p *Publisher) measureReleases(r *Report) (*releaseStats, error) {
	s := &releaseStats{now: p.deps.Now(), cutoff: p.cfg.Cutoff}
	asOf := r.AsOf
	if asOf.IsZero() {
		asOf = s.now
	}
	s.lastDue = s.cutoff.LastDue(asOf)
	tenants := r.Tenants
	if len(tenants) == 0 {
		known, err := p.deps.Lake.Tenants()
		if err != nil {
			return nil, fmt.Errorf("list tenants of the lake: %w", err)
		}
		for _, t := range known {
			if len(p.cfg.Tenants) == 0 || slices.Contains(p.cfg.Tenants, t) {
				tenants = append(tenants, TenantReport{Tenant: t, Outcome: Failed})
			}
		}
	}
	for i := range tenants {
		if err := s.add(p.deps.Lake.Tenant(tenants[i].Tenant), tenants[i].Outcome); err != nil {
			return nil, fmt.Errorf("tenant %s: %w", tenants[i].Tenant, err)
		}
	}
	return s, nil
}

// add adds one tenant, given the outcome of the run for it.
func (s *releaseStats) add(series *lake.Series, outcome Outcome) error {
	m, err := series.Current()
	if err != nil || m == nil {
		return err
	}
	hold, err := series.Hold()
	if err != nil {
		return err
	}
	if hold != nil {
		s.holds++
	}
	usage, err := series.Usage()
	if err != nil {
		return err
	}
	s.releases += usage.Releases
	s.bytes += usage.Bytes
	s.newest += usage.Newest

	upTo := s.lastDue // the newest day up to which the tenant has no late day
	if outcome != Published && outcome != NothingNew {
		upTo = min(upTo, s.cutoff.LastDue(m.AsOf))
		s.unreleased += int64(s.lastDue - upTo)
		if upTo < s.lastDue {
			s.waited(upTo + 1)
		}
	}
	if outcome == Published {
		if err := s.first(series, m); err != nil {
			return err
		}
	}
	for i := range m.Days {
		day := m.Days[i].Day
		switch {
		case m.Days[i].AccountDays == 0:
			continue
		case m.Days[i].Completeness == inspect.Complete:
			s.complete++
		default:
			s.incomplete++
		}
		if slices.Contains(m.Days[i].Reasons, inspect.ReasonInputBehind) {
			s.behind++
			s.waited(day)
			upTo = min(upTo, day-1)
		}
	}
	s.noEvents += int64(len(m.NotComplete))
	if covered := s.cutoff.Of(upTo); s.covered.IsZero() || covered.Before(s.covered) {
		s.covered = covered
	}
	return nil
}

// first adds the wait for the earliest day that became due after the release before m and is first released by m.
// For a tenant's first release only the newest due day counts: older days were due before there was a publisher.
func (s *releaseStats) first(series *lake.Series, m *lake.Manifest) error {
	before := s.lastDue - 1
	if m.Previous != 0 {
		previous, err := series.Manifest(m.Previous)
		if err != nil {
			return err
		}
		before = s.cutoff.LastDue(previous.AsOf)
	}
	for i := range m.Days { // ascending
		day := m.Days[i].Day
		if day > before && m.Days[i].AccountDays > 0 {
			s.waited(day)
			return nil
		}
	}
	return nil
}

// waited records that the number of a due day was late until now.
func (s *releaseStats) waited(d billing.Day) { s.worst = max(s.worst, s.now.Sub(s.cutoff.Of(d))) }
