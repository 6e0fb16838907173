package ingest

import (
	"testing"
	"time"

	"daybook/internal/state"
)

// TestClockThatWasAhead: a run that catches up with a clock that is ahead leaves evidence from the future. Once the
// clock is right again, the next run withdraws it, whether or not real time has reached it, and --until-caught-up
// reads what came since.
func TestClockThatWasAhead(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"150 seconds": 150 * time.Second, "years": 5 * 365 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 2)
			w.init()
			w.push(0, events(0, 3)...)
			w.ahead.Store(int64(ahead))
			w.mustCatchUp()
			for _, p := range w.positions() {
				if !p.CaughtUpAt.After(time.Now()) {
					t.Fatalf("partition %d is caught up at %v: want evidence from the future", p.Partition.Partition, p.CaughtUpAt)
				}
			}
			w.ahead.Store(0)
			w.push(0, events(3, 4)...)
			// Opened alone, without a broker that answers: the evidence is gone for every reader of the state.
			if err := w.open(RunOptions{}).Close(); err != nil {
				t.Fatal(err)
			}
			for _, p := range w.positions() {
				if !p.CaughtUpAt.IsZero() {
					t.Errorf("partition %d is still caught up at %v", p.Partition.Partition, p.CaughtUpAt)
				}
			}
			w.mustCatchUp()
			if p := w.positions()[0]; p.NextOffset != 7 || p.CaughtUpAt.IsZero() || p.CaughtUpAt.After(time.Now()) {
				t.Errorf("next offset %d, caught up at %v: want all 7 records read, and evidence of now", p.NextOffset, p.CaughtUpAt)
			}
		})
	}
}

// TestOnlyThisRunsEvidenceEndsIt: a run until caught up reads what is there whatever the state says of a run before.
func TestOnlyThisRunsEvidenceEndsIt(t *testing.T) {
	w := newWorld(t, 1)
	w.init()
	w.mustCatchUp()
	w.push(0, events(0, 5)...)
	g := w.open(RunOptions{UntilCaughtUp: true})
	// As if the run before had caught up when this one had begun already.
	at := g.deps.Clock()
	at.Wall = at.Wall.Add(time.Hour)
	b := &state.Batch{CaughtUp: []state.CaughtUp{state.NewCaughtUp(state.PartitionID{}, at)}}
	if _, err := g.store.Apply(b); err != nil {
		t.Fatal(err)
	}
	if err := g.remember(); err != nil {
		t.Fatal(err)
	}
	if err := w.stops(g); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if p := w.positions()[0]; p.NextOffset != 5 {
		t.Errorf("next offset %d, want 5", p.NextOffset)
	}
}

// TestClockSetBackDuringARun: a run that ends caught up does so by its listings, not by the time of day.
func TestClockSetBackDuringARun(t *testing.T) {
	w := newWorld(t, 1)
	w.init()
	w.push(0, events(0, 5)...)
	w.ahead.Store(int64(time.Hour))
	g := w.open(RunOptions{UntilCaughtUp: true})
	w.ahead.Store(0)
	if err := w.stops(g); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if p := w.positions()[0]; p.NextOffset != 5 || p.CaughtUpAt.After(time.Now()) {
		t.Errorf("next offset %d, caught up at %v", p.NextOffset, p.CaughtUpAt)
	}
}
