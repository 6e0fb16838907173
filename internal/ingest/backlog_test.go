package ingest

import (
	"testing"
	"time"

	"daybook/internal/billing"
	"daybook/internal/state"
	"daybook/internal/statedir"
)

func TestBacklogIsWhatNoReleaseHas(t *testing.T) {
	w := newWorld(t, 1)
	w.init()
	today := billing.DayOf(time.Now())
	w.push(0,
		event("a", "1", "2025-01-01", "5"),
		event("b", "2", today.String(), "7"), // its day is not over, so it does not wait
		event("c", "1", "2025-01-01", "-3.25"),
		event("d", "1", "2025-01-01", "-1"),
		`nonsense`)
	w.mustCatchUp()

	g := w.open(RunOptions{})
	defer g.Close()
	now := time.Now().Add(time.Hour)
	g.deps.Now = func() time.Time { return now }
	got, err := g.countBacklog()
	if err != nil {
		t.Fatal(err)
	}
	// Account 1 waits, for its quarantined record too. The day of account 2 ends after now, or an hour before at most.
	if got.dirty != 2 || got.oldestAge < time.Hour || got.oldestAge > time.Hour+time.Minute {
		t.Errorf("%d account-days wait, the first for %s; want 2 for an hour", got.dirty, got.oldestAge)
	}
	if got.parsedUSD.String() != "-4.25" || got.quarantine[state.QuarantineOpen] != 3 || len(got.quarantine) != 1 {
		t.Errorf("quarantine holds %v, %s USD", got.quarantine, got.parsedUSD)
	}

	r, err := g.store.Reader()
	if err != nil {
		t.Fatal(err)
	}
	// `ingest status` reports the same account-day by the same rule.
	status, err := statedir.StatusOf(r, nil, now)
	if err != nil || len(status.Tenants) != 1 {
		t.Fatalf("status %+v, %v", status.Tenants, err)
	}
	s := status.Tenants[0]
	if s.Dirty != 2 || now.Sub(s.OldestDirty) != got.oldestAge || s.OldestDirtyAge != got.oldestAge.Seconds() {
		t.Errorf("status: %d dirty account-days, the oldest since %s (%f s); the metrics have %s", s.Dirty, s.OldestDirty, s.OldestDirtyAge, got.oldestAge)
	}
	head := r.Head().Sequence
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := g.store.SetCovered(billing.DefaultTenant, head); err != nil {
		t.Fatal(err)
	}
	if got, err = g.countBacklog(); err != nil || got.dirty != 0 || got.oldestAge != 0 {
		t.Errorf("after a release %d account-days wait, the first for %s, %v", got.dirty, got.oldestAge, err)
	}
}
