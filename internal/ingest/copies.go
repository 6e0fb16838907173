package ingest

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

// checkpointsDir holds the checkpoints in the state directory.
const checkpointsDir = "checkpoints"

// copies are the checkpoints that a running ingest made for others.
type copies struct {
	dir   string
	fs    vfs.FS
	store *state.Store
	age   time.Duration
	now   func() time.Time

	mu struct {
		sync.Mutex
		made map[string]time.Time // by id
	}
}

// newCopies removes what an earlier ingest left: nobody can be told of it any more.
func newCopies(stateDir string, store *state.Store, age time.Duration, deps Deps) (*copies, error) {
	abs, err := filepath.Abs(stateDir)
	if err != nil {
		return nil, err
	}
	c := &copies{dir: filepath.Join(abs, checkpointsDir), fs: deps.State.FS, store: store, age: age, now: deps.Now}
	c.mu.made = map[string]time.Time{}
	if err := c.fs.RemoveAll(c.dir); err != nil {
		return nil, fmt.Errorf("remove old checkpoints: %w", err)
	}
	if err := c.fs.MkdirAll(c.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory of checkpoints: %w", err)
	}
	return c, nil
}

// make makes a checkpoint.
func (c *copies) make() (control.CheckpointReply, error) {
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

// drop removes a checkpoint. Only ids that make gave are known, so an id is never a path.
func (c *copies) drop(id string) error {
	c.mu.Lock()
	_, ok := c.mu.made[id]
	delete(c.mu.made, id)
	c.mu.Unlock()
	if !ok {
		return control.ErrUnknownCheckpoint
	}
	return c.fs.RemoveAll(filepath.Join(c.dir, id))
}

// reap removes the checkpoints that are too old.
func (c *copies) reap() error {
	now := c.now()
	var old []string
	c.mu.Lock()
	for id, at := range c.mu.made {
		if now.Sub(at) > c.age {
			old = append(old, id)
		}
	}
	c.mu.Unlock()
	var faults []error
	for _, id := range old {
		if err := c.drop(id); err != nil && !errors.Is(err, control.ErrUnknownCheckpoint) && !errors.Is(err, fs.ErrNotExist) {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}
