package statedir

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/control"
	"daybook/internal/state"
)

// checkpointsDir is the directory of checkpoints in a state directory.
const checkpointsDir = "checkpoints"

// Checkpoints are the checkpoints that a process made of its open store for others. Safe for concurrent use.
type Checkpoints struct {
	dir    string
	fs     vfs.FS
	store  *state.Store
	maxAge time.Duration
	now    func() time.Time

	mu struct {
		sync.Mutex
		made map[string]time.Time // by id
	}
}

// NewCheckpoints removes the checkpoints that an earlier process left: their ids are lost, so no caller can drop them.
// Reap removes those older than maxAge.
func NewCheckpoints(stateDir string, store *state.Store, maxAge time.Duration, o state.Options) (*Checkpoints, error) {
	abs, err := filepath.Abs(stateDir)
	if err != nil {
		return nil, err
	}
	c := &Checkpoints{dir: filepath.Join(abs, checkpointsDir), fs: o.FS, store: store, maxAge: maxAge, now: o.Now}
	if c.fs == nil {
		c.fs = vfs.Default
	}
	if c.now == nil {
		c.now = time.Now
	}
	c.mu.made = map[string]time.Time{}
	if err := c.fs.RemoveAll(c.dir); err != nil {
		return nil, fmt.Errorf("remove old checkpoints: %w", err)
	}
	if err := c.fs.MkdirAll(c.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory of checkpoints: %w", err)
	}
	return c, nil
}

// Make makes a checkpoint.
func (c *Checkpoints) Make() (control.CheckpointReply, error) {
	id := rand.Text()
	dir := filepath.Join(c.dir, id)
	head, err := c.store.Checkpoint(dir)
	if err != nil {
		return control.CheckpointReply{}, errors.Join(fmt.Errorf("make checkpoint: %w", err), c.fs.RemoveAll(dir))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.made[id] = c.now()
	return control.CheckpointReply{ID: id, Dir: dir, Sequence: head.Sequence}, nil
}

// Drop removes a checkpoint. Only ids that Make returned are known, so an id is never a path.
func (c *Checkpoints) Drop(id string) error {
	c.mu.Lock()
	_, ok := c.mu.made[id]
	delete(c.mu.made, id)
	c.mu.Unlock()
	if !ok {
		return control.ErrUnknownCheckpoint
	}
	return c.fs.RemoveAll(filepath.Join(c.dir, id))
}

// Reap removes the checkpoints that are too old: their callers are gone.
func (c *Checkpoints) Reap() error {
	now := c.now()
	var old []string
	c.mu.Lock()
	for id, at := range c.mu.made {
		if now.Sub(at) > c.maxAge {
			old = append(old, id)
		}
	}
	c.mu.Unlock()
	var faults []error
	for _, id := range old {
		if err := c.Drop(id); err != nil && !errors.Is(err, control.ErrUnknownCheckpoint) && !errors.Is(err, fs.ErrNotExist) {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}
