package ingest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"daybook/internal/control"
	"daybook/internal/disk"
	"daybook/internal/state"
)

// View lets f read the state in dir, checked: of a running ingest it asks for a
// checkpoint, else it opens the state for as long as f takes.
func View(ctx context.Context, dir string, o state.Options, f func(*state.Reader) error) error {
	c, err := control.Dial(ctx, dir)
	if errors.Is(err, control.ErrNotRunning) {
		r, err := state.OpenReader(dir, o)
		if err != nil {
			return err
		}
		return errors.Join(f(r), r.Close())
	}
	if err != nil {
		return err
	}
	defer c.Close()
	return withCheckpoint(ctx, c, func(reply control.CheckpointReply) error {
		r, err := state.OpenReader(reply.Dir, o)
		if err != nil {
			return err
		}
		return errors.Join(f(r), r.Close())
	})
}

// withCheckpoint lends f a checkpoint of a running ingest.
func withCheckpoint(ctx context.Context, c *control.Client, f func(control.CheckpointReply) error) error {
	reply, err := c.Checkpoint(ctx)
	if err != nil {
		return err
	}
	err = f(reply)
	// It is dropped also when the caller was told to end meanwhile.
	return errors.Join(err, c.DropCheckpoint(context.WithoutCancel(ctx), reply.ID))
}

// Status is the report on the state in dir, whether an ingest runs on it or not.
func Status(ctx context.Context, dir string, deps Deps) (control.Status, error) {
	deps = deps.withDefaults()
	c, err := control.Dial(ctx, dir)
	if err == nil {
		defer c.Close()
		return c.Status(ctx)
	}
	if !errors.Is(err, control.ErrNotRunning) {
		return control.Status{}, err
	}
	r, err := state.OpenReader(dir, deps.State)
	if err != nil {
		return control.Status{}, err
	}
	s, err := StatusOf(r, nil, deps.Now())
	return s, errors.Join(err, r.Close())
}

// Decide writes a decision into the state in dir, through a running ingest if
// there is one, and returns its number.
func Decide(ctx context.Context, dir string, d state.Decision, deps Deps) (uint64, error) {
	deps = deps.withDefaults()
	if d.When.IsZero() {
		d.When = deps.Now().UTC()
	}
	c, err := control.Dial(ctx, dir)
	if err == nil {
		defer c.Close()
		return c.Decide(ctx, d)
	}
	if !errors.Is(err, control.ErrNotRunning) {
		return 0, err
	}
	store, err := state.Open(dir, deps.State)
	if err != nil {
		return 0, err
	}
	n, err := store.Decide(d)
	return n, errors.Join(err, store.Close())
}

// openSoon opens a state for an ingest. A command that reads it, and a publisher that copies it, hold it for a
// moment only: that is waited for, a second at most.
func openSoon(dir string, o state.Options) (*state.Store, error) {
	for pause := 10 * time.Millisecond; ; pause *= 2 {
		store, err := state.Open(dir, o)
		if !errors.Is(err, state.ErrLocked) || pause > time.Second {
			return store, err
		}
		time.Sleep(pause)
	}
}

// stopped opens a state for work that a running ingest cannot do for others.
func stopped(dir string, o state.Options) (*state.Store, error) {
	store, err := state.Open(dir, o)
	if errors.Is(err, state.ErrLocked) {
		return nil, fmt.Errorf("%w; stop the ingest that runs on it, and start it again afterwards", err)
	}
	return store, err
}

// Backup copies the state in dir, also of a running ingest, to the directory to,
// which must not exist, and checks the copy. The copy is a state directory. A backup
// that is cut short leaves only to.partial.
func Backup(ctx context.Context, dir, to string, deps Deps) (state.Head, error) {
	deps = deps.withDefaults()
	if _, err := os.Lstat(to); err == nil {
		return state.Head{}, fmt.Errorf("%s exists already: name a new directory", to)
	}
	partial := to + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return state.Head{}, fmt.Errorf("remove an unfinished backup: %w", err)
	}
	copyFrom := func(from string) error { return disk.CopyTree(ctx, disk.OS(), from, partial) }
	if err := backup(ctx, dir, deps, copyFrom); err != nil {
		return state.Head{}, errors.Join(err, os.RemoveAll(partial))
	}
	head, err := proven(partial, deps)
	if err != nil {
		return head, fmt.Errorf("check the backup %s: %w", partial, err)
	}
	if err := os.Rename(partial, to); err != nil {
		return head, err
	}
	return head, disk.OS().SyncDir(filepath.Dir(to))
}

// backup makes a checkpoint and lends it to f.
func backup(ctx context.Context, dir string, deps Deps, f func(dir string) error) error {
	c, err := control.Dial(ctx, dir)
	if err == nil {
		defer c.Close()
		return withCheckpoint(ctx, c, func(r control.CheckpointReply) error { return f(r.Dir) })
	}
	if !errors.Is(err, control.ErrNotRunning) {
		return err
	}
	store, err := state.Open(dir, deps.State)
	if err != nil {
		return err
	}
	copies, err := newCopies(dir, store, 0, deps)
	if err == nil {
		var r control.CheckpointReply
		if r, err = copies.make(); err == nil {
			err = errors.Join(f(r.Dir), copies.drop(r.ID))
		}
	}
	return errors.Join(err, store.Close())
}

// proven opens a copy, checks all of it and returns its head.
func proven(dir string, deps Deps) (state.Head, error) {
	r, err := state.OpenReader(dir, deps.State)
	if err != nil {
		return state.Head{}, err
	}
	head := r.Head()
	faults, err := r.Check(nil)
	if err == nil && len(faults) > 0 {
		err = fmt.Errorf("%w: %s (%s), and %d more", state.ErrDamaged, faults[0].What, faults[0].Key, len(faults)-1)
	}
	return head, errors.Join(err, r.Close())
}
