package ingest

import (
	"context"
	"errors"
	"time"

	"daybook/internal/billing"
	"daybook/internal/state"
	"daybook/internal/statedir"
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

// countBacklog counts the backlog in one snapshot of the state.
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
		d, err := statedir.CountDirty(r, tenant, now)
		if err != nil {
			return b, err
		}
		b.dirty += d.Dirty
		if !d.Oldest.IsZero() {
			b.oldestAge = max(b.oldestAge, now.Sub(d.Oldest))
		}
	}
	return b, b.addQuarantine(r)
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
