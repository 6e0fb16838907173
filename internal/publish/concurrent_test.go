package publish

import (
	"context"
	"errors"
	"testing"

	"daybook/internal/lake"
	"daybook/internal/state"
)

// meanwhile is a Source that calls happens after each checkpoint.
type meanwhile struct {
	Store
	happens func()
}

// Checkpoint implements Source.
func (s meanwhile) Checkpoint(ctx context.Context) (*Checkpoint, error) {
	c, err := s.Store.Checkpoint(ctx)
	if err == nil {
		s.happens()
	}
	return c, err
}

// TestEventBetweenCheckpointAndRelease: an event that arrives after the checkpoint is neither in the release nor
// covered by it. The next run publishes it.
func TestEventBetweenCheckpointAndRelease(t *testing.T) {
	w := newWorld(t)
	w.push(event("e1", "a", "compute", "2025-01-06", "1", 1))
	w.caughtUp()
	p := New(w.cfg, Deps{
		Source: meanwhile{
			Store:   Store{Store: w.store, Dir: w.stateDir + "/checkpoints", Options: w.options()},
			happens: func() { w.push(event("e1", "a", "compute", "2025-01-06", "2", 2)); w.caughtUp() },
		},
		Lake: w.lake, Now: w.clock, Clock: w.reading,
	})
	if _, err := p.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := w.row("2025-01-06", "a").Total.String(); got != "1" {
		t.Errorf("the release says %s", got)
	}
	r, err := w.store.Reader()
	w.check(err)
	defer func() { w.check(r.Close()) }()
	if m := w.current(); state.Sequence(m.Covered) >= r.Head().Sequence {
		t.Errorf("it covers change %d, the state is at %d", m.Covered, r.Head().Sequence)
	}
	w.publish()
	if got := w.row("2025-01-06", "a").Total.String(); got != "2" {
		t.Errorf("the next release says %s", got)
	}
}

// TestReleaseBetweenCheckpointAndLock: another run publishes newer input after this one has taken its checkpoint. The
// error differs from that of a state that lost records.
func TestReleaseBetweenCheckpointAndLock(t *testing.T) {
	w := newWorld(t)
	w.week()
	w.publish()
	w.push(event("e1", "a", "compute", "2025-01-06", "1", 1))
	w.caughtUp()
	slow := New(w.cfg, Deps{
		Source: meanwhile{
			Store: Store{Store: w.store, Dir: w.stateDir + "/slow", Options: w.options()},
			happens: func() {
				w.push(event("e1", "a", "compute", "2025-01-06", "2", 2))
				w.caughtUp()
				w.publish()
			},
		},
		Lake: w.lake, Now: w.clock, Clock: w.reading,
	})
	before := w.current().Release
	if _, err := slow.Run(context.Background()); !errors.Is(err, lake.ErrTaken) || errors.Is(err, ErrBehind) {
		t.Errorf("the slower run says %v, want %v", err, lake.ErrTaken)
	}
	if got := w.current().Release; got != before+1 {
		t.Errorf("release %d after release %d and one run that was faster", got, before)
	}
}
