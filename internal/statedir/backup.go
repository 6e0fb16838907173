package statedir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"daybook/internal/disk"
	"daybook/internal/state"
)

// Backup copies the state to the directory to, which must not exist, and checks the copy. The copy is a state
// directory. An interrupted backup leaves only to.partial.
func (d Dir) Backup(ctx context.Context, to string) (state.Head, error) {
	if _, err := os.Lstat(to); err == nil {
		return state.Head{}, fmt.Errorf("%s exists already: name a new directory", to)
	}
	partial := to + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return state.Head{}, fmt.Errorf("remove an unfinished backup: %w", err)
	}
	c, err := d.Checkpoint(ctx)
	if err != nil {
		return state.Head{}, err
	}
	if err := errors.Join(disk.CopyTree(ctx, disk.OS(), c.Dir, partial), c.Close()); err != nil {
		return state.Head{}, errors.Join(err, os.RemoveAll(partial))
	}
	head, err := checked(partial, d.Options)
	if err != nil {
		return head, fmt.Errorf("check the backup %s: %w", partial, err)
	}
	if err := os.Rename(partial, to); err != nil {
		return head, err
	}
	return head, disk.OS().SyncDir(filepath.Dir(to))
}

// checked opens a copy, checks all of it and returns its head.
func checked(dir string, o state.Options) (state.Head, error) {
	r, err := state.OpenReader(dir, o)
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
