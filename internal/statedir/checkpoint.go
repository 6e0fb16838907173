package statedir

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"daybook/internal/billing"
	"daybook/internal/control"
	"daybook/internal/state"
)

// Checkpoint is an open checkpoint of a state. Close it.
type Checkpoint struct {
	*state.Reader
	Dir string // absolute only if the state's path is
	// EndOffsets are the ends of the partitions' logs; an unknown one is absent.
	EndOffsets map[state.PartitionID]int64
	// LagReasons are the reasons for which partitions are not caught up; an unknown one is absent.
	LagReasons map[state.PartitionID]string
	drop       func() error
}

// Close closes the checkpoint and removes it.
func (c *Checkpoint) Close() error { return errors.Join(c.Reader.Close(), c.drop()) }

// Checkpoint has a running ingest make a checkpoint, or makes one itself, and opens it. It returns state.ErrLocked
// when the state is locked by a process that does not answer.
func (d Dir) Checkpoint(ctx context.Context) (*Checkpoint, error) {
	return d.checkpoint(ctx, func() (*Checkpoint, error) {
		store, err := d.open()
		if err != nil {
			return nil, err
		}
		c, err := Copy(store, filepath.Join(d.Path, checkpointsDir, NewCheckpointID()), d.Options)
		if closeErr := store.Close(); closeErr != nil {
			err = errors.Join(err, fmt.Errorf("close state: %w", closeErr))
			if c != nil {
				err = errors.Join(err, c.Close())
			}
			return nil, err
		}
		return c, err
	})
}

// checkpoint asks a running ingest for a checkpoint, or calls own when none runs, or when it ended before it answered.
func (d Dir) checkpoint(ctx context.Context, own func() (*Checkpoint, error)) (*Checkpoint, error) {
	return retryLocked(ctx, func() (*Checkpoint, error) {
		c, err := d.ask(ctx)
		if errors.Is(err, control.ErrNotRunning) || errors.Is(err, control.ErrEnded) {
			return own()
		}
		return c, err
	})
}

// ask has a running ingest make a checkpoint; control.ErrNotRunning, control.ErrEnded.
func (d Dir) ask(ctx context.Context) (*Checkpoint, error) {
	client, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	reply, err := client.Checkpoint(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ask ingest for a checkpoint: %w", err), client.Close())
	}
	drop := func() error {
		// The checkpoint is removed even if the run was cancelled.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTimeout)
		defer cancel()
		return errors.Join(client.DropCheckpoint(ctx, reply.ID), client.Close())
	}
	r, err := state.OpenReader(reply.Dir, d.Options)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open checkpoint: %w", err), drop())
	}
	c := &Checkpoint{Reader: r, Dir: reply.Dir, drop: drop}
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
	c.EndOffsets, c.LagReasons = map[state.PartitionID]int64{}, map[state.PartitionID]string{}
	for _, p := range live.Partitions {
		id := state.PartitionID{Topic: ordinals[p.Topic], Partition: p.Partition}
		if p.EndOffset >= 0 {
			c.EndOffsets[id] = p.EndOffset
		}
		if p.Reason != "" {
			c.LagReasons[id] = p.Reason
		}
	}
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
	return &Checkpoint{Reader: r, Dir: dir, drop: remove}, nil
}

// NewCheckpointID returns a name that no other checkpoint has.
func NewCheckpointID() string { return "checkpoint-" + rand.Text() }
