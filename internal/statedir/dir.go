package statedir

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"daybook/internal/billing"
	"daybook/internal/control"
	"daybook/internal/state"
)

// How long a state that is locked is tried again: by an ingest that starts and does not listen yet, one that ends
// and has not released its lock yet, and commands that hold the lock for a moment.
const (
	lockTimeout  = 2 * time.Second
	lockInterval = 10 * time.Millisecond // before the first retry; it grows from there
)

// dropTimeout bounds the removal of a checkpoint by its ingest, which also happens after a cancelled run.
const dropTimeout = 10 * time.Second

// Dir is a state directory.
type Dir struct {
	Path    string
	Options state.Options
	// Dial connects to the ingest that runs on a state directory; default: control.Dial.
	Dial func(ctx context.Context, dir string) (*control.Client, error)
}

// dial is Dial or its default.
func (d Dir) dial(ctx context.Context) (*control.Client, error) {
	if d.Dial != nil {
		return d.Dial(ctx, d.Path)
	}
	return control.Dial(ctx, d.Path)
}

// now is the time by the clock of the options.
func (d Dir) now() time.Time {
	if d.Options.Now != nil {
		return d.Options.Now()
	}
	return time.Now()
}

// retryLocked calls open until it returns another error than state.ErrLocked, or lockTimeout has passed.
func retryLocked[T any](ctx context.Context, open func() (T, error)) (T, error) {
	delay := backoff.NewExponentialBackOff()
	delay.InitialInterval = lockInterval
	v, err := backoff.Retry(ctx, func() (T, error) {
		v, err := open()
		if err != nil && !errors.Is(err, state.ErrLocked) {
			err = backoff.Permanent(err)
		}
		return v, err
	}, backoff.WithBackOff(delay), backoff.WithMaxElapsedTime(lockTimeout))
	if permanent, ok := errors.AsType[*backoff.PermanentError](err); ok {
		err = permanent.Unwrap()
	}
	return v, err
}

// Open opens a state for writing, for as long as the caller wants. It waits for commands that hold the lock for a
// moment; state.ErrLocked when another process keeps it.
func Open(ctx context.Context, dir string, o state.Options) (*state.Store, error) {
	return retryLocked(ctx, func() (*state.Store, error) { return state.Open(dir, o) })
}

// OpenStopped opens a state for work that a running ingest cannot do for others; state.ErrLocked when one runs.
func OpenStopped(dir string, o state.Options) (*state.Store, error) {
	store, err := state.Open(dir, o)
	if errors.Is(err, state.ErrLocked) {
		return nil, fmt.Errorf("%w; stop the ingest that runs on it, and start it again afterwards", err)
	}
	return store, err
}

// open opens the state for one row or one checkpoint: nothing is compacted and no filter is filled.
func (d Dir) open() (*state.Store, error) {
	o := d.Options
	o.Brief = true
	store, err := state.Open(d.Path, o)
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	return store, nil
}

// View calls f with a checked reader of the state: of a checkpoint that a running ingest makes, or else of the state
// itself, which is locked until f returns.
func (d Dir) View(ctx context.Context, f func(*state.Reader) error) error {
	c, err := d.checkpoint(ctx, func() (*Checkpoint, error) {
		r, err := state.OpenReader(d.Path, d.Options)
		if err != nil {
			return nil, err
		}
		return &Checkpoint{Reader: r, Dir: d.Path, drop: func() error { return nil }}, nil
	})
	if err != nil {
		return err
	}
	return errors.Join(f(c.Reader), c.Close())
}

// Status is the report of `ingest status`.
func (d Dir) Status(ctx context.Context) (control.Status, error) {
	c, err := d.dial(ctx)
	if err == nil {
		s, err := c.Status(ctx)
		return s, errors.Join(err, c.Close())
	}
	if !errors.Is(err, control.ErrNotRunning) {
		return control.Status{}, err
	}
	r, err := state.OpenReader(d.Path, d.Options)
	if err != nil {
		return control.Status{}, err
	}
	s, err := StatusOf(r, nil, d.now())
	return s, errors.Join(err, r.Close())
}

// Decide writes a decision and returns its number. A zero When is now.
func (d Dir) Decide(ctx context.Context, decision state.Decision) (n uint64, err error) {
	if decision.When.IsZero() {
		decision.When = d.now().UTC()
	}
	err = d.write(ctx, func(c *control.Client) error {
		n, err = c.Decide(ctx, decision)
		return err
	}, func(s *state.Store) error {
		n, err = s.Decide(decision)
		return err
	})
	return n, err
}

// SetCovered records up to which sequence the newest release of a tenant covers the state, for status and metrics.
func (d Dir) SetCovered(ctx context.Context, t billing.TenantID, seq state.Sequence) error {
	return d.write(ctx,
		func(c *control.Client) error { return c.SetCovered(ctx, t, seq) },
		func(s *state.Store) error { return s.SetCovered(t, seq) })
}

// write has a running ingest write, or writes itself. It never does both: an ingest that ends before it answers may
// have written.
func (d Dir) write(ctx context.Context, ask func(*control.Client) error, own func(*state.Store) error) error {
	_, err := retryLocked(ctx, func() (struct{}, error) {
		c, err := d.dial(ctx)
		if err == nil {
			return struct{}{}, errors.Join(ask(c), c.Close())
		}
		if !errors.Is(err, control.ErrNotRunning) {
			return struct{}{}, err
		}
		store, err := d.open()
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, errors.Join(own(store), store.Close())
	})
	return err
}
