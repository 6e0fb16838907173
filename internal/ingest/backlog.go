package ingest

import (
	"context"
	"errors"
	"math"
	"time"

	"daybook/internal/billing"
	"daybook/internal/state"
)

// backlogInterval is how often the backlog is counted. A count that takes long is followed by a pause of
// backlogPauseFactor times its duration, so that counting takes at most about 5 % of the time.
const (
	backlogInterval    = time.Minute
	backlogPauseFactor = 20
)

// reportBacklog sets the metrics of the backlog until ctx ends.
func (g *Ingester) reportBacklog(ctx context.Context) error {
	for {
		started := time.Now()
		b, err := g.countBacklog()
		if err != nil {
			g.throttled.warn("failed to compute backlog metrics", "err", err)
		} else {
			g.metrics.setBacklog(b)
		}
		if !sleep(ctx, max(backlogInterval, backlogPauseFactor*time.Since(started))) {
			return nil
		}
	}
}

// backlog is what no release contains yet, over all tenants.
type backlog struct {
	dirty      int64         // account-days
	oldestAge  time.Duration // of the account-day that waits longest; 0: none waits
	quarantine map[state.QuarantineStatus]int64
	parsedUSD  billing.Money // of open quarantined records whose cost could be parsed
}

// countBacklog counts it in one snapshot of the state.
func (g *Ingester) countBacklog() (b backlog, err error) {
	r, err := g.store.Reader()
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	tenants, err := r.Tenants()
	if err != nil {
		return b, err
	}
	now := g.deps.Now()
	for _, tenant := range tenants {
		d, err := countDirty(r, tenant, now)
		if err != nil {
			return b, err
		}
		b.dirty += d.dirty
		if !d.oldest.IsZero() {
			b.oldestAge = max(b.oldestAge, now.Sub(d.oldest))
		}
	}
	return b, b.addQuarantine(r)
}

// dirtyCount counts the account-days of a tenant.
type dirtyCount struct {
	covered     state.Sequence // of the newest release
	accountDays int64
	dirty       int64     // changed after covered
	oldest      time.Time // since when the dirty account-day that waits longest waits; zero: none waits
}

// countDirty counts the account-days of a tenant that changed after its newest release. A dirty account-day waits
// for a release since its last change or, if that is later, since the end of its day: before, no release is due.
func countDirty(r *state.Reader, tenant billing.TenantID, now time.Time) (c dirtyCount, err error) {
	if c.covered, err = r.Covered(tenant); err != nil {
		return c, err
	}
	for m, err := range r.Markers(tenant, math.MinInt32, math.MaxInt32) {
		if err != nil {
			return c, err
		}
		c.accountDays++
		if m.Sequence <= c.covered {
			continue
		}
		c.dirty++
		since := (m.AccountDay.Day + 1).Start()
		if m.ChangedAt.After(since) {
			since = m.ChangedAt
		}
		if !since.After(now) && (c.oldest.IsZero() || since.Before(c.oldest)) {
			c.oldest = since
		}
	}
	return c, nil
}

// addQuarantine counts the quarantined records by status.
func (b *backlog) addQuarantine(r *state.Reader) error {
	b.quarantine = map[state.QuarantineStatus]int64{}
	for q, err := range r.Quarantine(false) {
		if err != nil {
			return err
		}
		b.quarantine[q.Status]++
		if q.Status == state.QuarantineOpen && q.Rejection.HasCost {
			// The sum is information: a record that would overflow it is only counted.
			if sum, ok := b.parsedUSD.Add(q.Rejection.Cost); ok {
				b.parsedUSD = sum
			}
		}
	}
	return nil
}
