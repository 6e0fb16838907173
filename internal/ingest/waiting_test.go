package ingest

import (
	"testing"
	"time"

	"daybook/internal/billing"
	"daybook/internal/state"
)

func TestWaitingIsWhatNoReleaseHas(t *testing.T) {
	w := newWorld(t, 1)
	w.init()
	today := billing.DayOf(time.Now())
	w.push(0,
		event("a", "1", "2025-01-01", "5"),
		event("b", "2", today.String(), "7"), // of a day that is not over: it has no age
		event("c", "1", "2025-01-01", "-3.25"),
		event("d", "1", "2025-01-01", "-1"),
		`nonsense`)
	w.mustCatchUp()

	g := w.open(RunOptions{})
	defer g.Close()
	now := time.Now().Add(time.Hour)
	g.deps.Now = func() time.Time { return now }
	got, err := g.waiting()
	if err != nil {
		t.Fatal(err)
	}
	// Account 1 waits with its quarantined record, too; account 2's day ends after now, or an hour ago at most.
	if got.dirty != 2 || got.oldest < time.Hour || got.oldest > time.Hour+time.Minute {
		t.Errorf("%d account-days wait, the first for %s; want 2 for an hour", got.dirty, got.oldest)
	}
	if got.money.String() != "-4.25" || got.held[state.QuarantineOpen] != 3 || len(got.held) != 1 {
		t.Errorf("quarantine holds %v, %s USD", got.held, got.money)
	}

	r, err := g.store.Reader()
	if err != nil {
		t.Fatal(err)
	}
	head := r.Head().Sequence
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := g.store.SetCovered(billing.DefaultTenant, head); err != nil {
		t.Fatal(err)
	}
	if got, err = g.waiting(); err != nil || got.dirty != 0 || got.oldest != 0 {
		t.Errorf("after a release %d account-days wait, the first for %s, %v", got.dirty, got.oldest, err)
	}
}
