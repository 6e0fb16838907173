package ingest

import (
	"context"
	"errors"
	"math"
	"time"

	"daybook/internal/billing"
	"daybook/internal/state"
)

// surveyInterval is how often what waits is counted; surveyShare bounds what that may
// cost: a survey that took long is followed by a pause of so many times its length.
const (
	surveyInterval = time.Minute
	surveyShare    = 20
)

// survey counts again and again what waits for a release, and what quarantine holds back.
func (g *Ingester) survey(ctx context.Context) error {
	for {
		started := time.Now()
		w, err := g.waiting()
		if err != nil {
			g.rare.warn("what waits for a release cannot be counted", "cause", err)
		} else {
			g.metrics.waiting(w)
		}
		if !sleep(ctx, max(surveyInterval, surveyShare*time.Since(started))) {
			return nil
		}
	}
}

// waiting is what no release has yet, over all tenants.
type waiting struct {
	dirty  int64         // account-days
	oldest time.Duration // how long the first of them waits, of days that are over; 0: none
	held   map[state.QuarantineStatus]int64
	money  billing.Money // readable, of open quarantined records
}

// waiting counts it in one consistent view of the state.
func (g *Ingester) waiting() (w waiting, err error) {
	r, err := g.store.Reader()
	if err != nil {
		return w, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := w.addDirty(r, g.deps.Now()); err != nil {
		return w, err
	}
	return w, w.addQuarantine(r)
}

// addDirty counts the account-days that changed since their tenant's newest release. One of a
// day that is not over waits for nothing: it counts, but has no age.
func (w *waiting) addDirty(r *state.Reader, now time.Time) error {
	tenants, err := r.Tenants()
	if err != nil {
		return err
	}
	for _, tenant := range tenants {
		covered, err := r.Covered(tenant)
		if err != nil {
			return err
		}
		for m, err := range r.Markers(tenant, math.MinInt32, math.MaxInt32) {
			if err != nil {
				return err
			}
			if m.Sequence <= covered {
				continue
			}
			w.dirty++
			since := (m.AccountDay.Day + 1).Start()
			if m.ChangedAt.After(since) {
				since = m.ChangedAt
			}
			w.oldest = max(w.oldest, now.Sub(since))
		}
	}
	return nil
}

// addQuarantine counts the quarantined records by status.
func (w *waiting) addQuarantine(r *state.Reader) error {
	w.held = map[state.QuarantineStatus]int64{}
	for q, err := range r.Quarantine(false) {
		if err != nil {
			return err
		}
		w.held[q.Status]++
		if q.Status == state.QuarantineOpen && q.Rejection.HasCost {
			// Readable money is information: where it overflows, the count stands alone.
			if sum, ok := w.money.Add(q.Rejection.Cost); ok {
				w.money = sum
			}
		}
	}
	return nil
}
