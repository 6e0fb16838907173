package publish

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"daybook/internal/billing"
	"daybook/internal/control"
	"daybook/internal/state"
)

// checkpointsDir is where copies of a state are made, inside its directory.
const checkpointsDir = "checkpoints"

// Source gives consistent, durable copies of a state.
type Source interface {
	// Checkpoint makes a copy and opens it.
	Checkpoint(ctx context.Context) (*Checkpoint, error)
	// SetCovered tells the state up to where a tenant's newest release covers it;
	// for status and metrics alone.
	SetCovered(ctx context.Context, t billing.TenantID, seq state.Sequence) error
}

// Checkpoint is an open copy of a state. Close it.
type Checkpoint struct {
	*state.Reader
	// EndOffsets are the ends of the partitions' logs; an unknown one is absent.
	EndOffsets map[state.PartitionID]int64
	// Waiting are the reasons for which partitions are not caught up; an unknown one is absent.
	Waiting map[state.PartitionID]string
	drop    func() error
}

// Close closes the copy and removes it.
func (c *Checkpoint) Close() error {
	return errors.Join(c.Reader.Close(), c.drop())
}

// StateDir is the Source of a state directory, whether or not an ingest runs
// on it: a running one is asked for the copy; else the state is locked for as
// long as making the copy takes.
type StateDir struct {
	Dir     string
	Options state.Options
	// Dial asks for the ingest that runs on a state directory; default: control.Dial.
	Dial func(ctx context.Context, dir string) (*control.Client, error)
}

// dial is Dial or its default.
func (s StateDir) dial(ctx context.Context) (*control.Client, error) {
	if s.Dial != nil {
		return s.Dial(ctx, s.Dir)
	}
	return control.Dial(ctx, s.Dir)
}

// Checkpoint is Source's. It returns state.ErrLocked when the state is locked by a process
// that does not answer.
func (s StateDir) Checkpoint(ctx context.Context) (*Checkpoint, error) {
	const attempts = 10
	for attempt := 1; ; attempt++ {
		c, err := s.ask(ctx)
		if !errors.Is(err, control.ErrNotRunning) && !errors.Is(err, control.ErrEnded) {
			return c, err
		}
		c, err = s.lockAndCopy()
		// An ingest may have started in between and not listen yet, or have ended and not be gone yet.
		if !errors.Is(err, state.ErrLocked) || attempt == attempts {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Duration(attempt) * 50 * time.Millisecond):
		}
	}
}

// SetCovered is Source's. Without a running ingest it is written into the state;
// a state that is locked meanwhile goes without.
func (s StateDir) SetCovered(ctx context.Context, t billing.TenantID, seq state.Sequence) error {
	client, err := s.dial(ctx)
	if err == nil {
		defer client.Close()
		return client.SetCovered(ctx, t, seq)
	}
	if !errors.Is(err, control.ErrNotRunning) {
		return err
	}
	store, err := s.open()
	if err != nil {
		return err
	}
	return errors.Join(store.SetCovered(t, seq), store.Close())
}

// open locks the state for a moment.
func (s StateDir) open() (*state.Store, error) {
	o := s.Options
	o.Brief = true
	return state.Open(s.Dir, o)
}

// ask has a running ingest make the copy; control.ErrNotRunning, control.ErrEnded.
func (s StateDir) ask(ctx context.Context) (*Checkpoint, error) {
	client, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	reply, err := client.Checkpoint(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ask ingest for a checkpoint: %w", err), client.Close())
	}
	drop := func() error {
		// The copy goes even when the run was cancelled.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return errors.Join(client.DropCheckpoint(ctx, reply.ID), client.Close())
	}
	r, err := state.OpenReader(reply.Dir, s.Options)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open checkpoint: %w", err), drop())
	}
	c := &Checkpoint{Reader: r, drop: drop}
	if live, err := client.Live(ctx); err == nil {
		c.note(live)
	}
	return c, nil
}

// note keeps what a running ingest knows about the ends of the log.
func (c *Checkpoint) note(live control.Live) {
	ordinals := map[string]billing.TopicOrdinal{}
	for _, t := range c.Identity().Topics {
		ordinals[t.Name] = t.Ordinal
	}
	c.EndOffsets, c.Waiting = map[state.PartitionID]int64{}, map[state.PartitionID]string{}
	for _, p := range live.Partitions {
		id := state.PartitionID{Topic: ordinals[p.Topic], Partition: p.Partition}
		if p.EndOffset >= 0 {
			c.EndOffsets[id] = p.EndOffset
		}
		if p.Reason != "" {
			c.Waiting[id] = p.Reason
		}
	}
}

// lockAndCopy makes the copy itself.
func (s StateDir) lockAndCopy() (*Checkpoint, error) {
	store, err := s.open()
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	dir := filepath.Join(s.Dir, checkpointsDir, newCheckpointID())
	c, err := Copy(store, dir, s.Options)
	if closeErr := store.Close(); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("close state: %w", closeErr))
		if c != nil {
			err = errors.Join(err, c.Close())
		}
		return nil, err
	}
	return c, err
}

// Copy makes a checkpoint of an open store in dir, which must not exist, and
// opens it. Closing it removes dir.
func Copy(store *state.Store, dir string, o state.Options) (*Checkpoint, error) {
	remove := func() error { return os.RemoveAll(dir) }
	if o.FS != nil {
		remove = func() error { return o.FS.RemoveAll(dir) }
	}
	if _, err := store.Checkpoint(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("make checkpoint: %w", err), remove())
	}
	r, err := state.OpenReader(dir, o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open checkpoint: %w", err), remove())
	}
	return &Checkpoint{Reader: r, drop: remove}, nil
}

// Store is the Source of a store that this process has open itself.
type Store struct {
	*state.Store
	// Dir is where copies are made; it may be missing.
	Dir     string
	Options state.Options
}

// Checkpoint is Source's.
func (s Store) Checkpoint(context.Context) (*Checkpoint, error) {
	return Copy(s.Store, filepath.Join(s.Dir, newCheckpointID()), s.Options)
}

// SetCovered is Source's.
func (s Store) SetCovered(_ context.Context, t billing.TenantID, seq state.Sequence) error {
	return s.Store.SetCovered(t, seq)
}

// newCheckpointID is a name that no other checkpoint has.
func newCheckpointID() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return "publisher-" + hex.EncodeToString(b[:])
}
