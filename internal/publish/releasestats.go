package publish

import (
	"fmt"
	"slices"
	"time"

	"daybook/internal/billing"
	"daybook/internal/lake"
)

// releaseStats is what the newest releases say after a run: which due days are out, how late, and what
// all of it holds on disk. Tenants are added up.
//
// A due day is late when its number is not out with all of its input: its cutoff passed after the
// newest release, and no run has found since that there was nothing to publish; or it was
// released while input was behind.
type releaseStats struct {
	now     time.Time
	cutoff  TimeOfDay
	lastDue billing.Day

	unreleased, behind             int64         // late days, by why
	worst                          time.Duration // from a cutoff to now, of late days and of those this run released first
	covered                        time.Time     // the newest cutoff without a late day up to it, in any tenant; zero: no release
	complete, incomplete, noEvents int64         // days as the newest releases list them
	holds, releases                int
	bytes, newest                  int64
}

// measureReleases looks at all tenants of a run, or of the lake where the run ended before it knew them.
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

// add looks at one tenant, for which the run came to an outcome.
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

	upTo := s.lastDue // the newest day of which this tenant has no late one before
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
		day, err := billing.ParseDay(m.Days[i].Day)
		if err != nil {
			return fmt.Errorf("manifest of release %d: %w", m.Release, err)
		}
		switch {
		case m.Days[i].AccountDays == 0:
			continue
		case m.Days[i].Completeness == dayComplete:
			s.complete++
		default:
			s.incomplete++
		}
		if slices.Contains(m.Days[i].Reasons, reasonInputBehind) {
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

// first finds the earliest day that became due after the release before m and came out with m. Of a
// first release that is the newest due day alone: for what is older nobody was waiting.
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
		day, err := billing.ParseDay(m.Days[i].Day)
		if err != nil {
			return fmt.Errorf("manifest of release %d: %w", m.Release, err)
		}
		if day > before && m.Days[i].AccountDays > 0 {
			s.waited(day)
			return nil
		}
	}
	return nil
}

// waited notes that a due day's number was waited for until now.
func (s *releaseStats) waited(d billing.Day) { s.worst = max(s.worst, s.now.Sub(s.cutoff.Of(d))) }
