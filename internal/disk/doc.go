// Package disk has the operations by which Daybook makes files durable, each once: replacing a
// file atomically, syncing directories, locking, copying trees, and exchanging two directories.
//
// It owns FS, the file system that the packages above it are given, so that their tests can run on
// one in memory, cut its power and make its operations fail (internal/test/disktest). It knows nothing
// of what the files hold.
//
// All functions may be called concurrently. What is durable when a function has returned is said
// at the function: a file's content needs File.Sync, and its name needs FS.SyncDir of the directory.
package disk

import (
	"errors"
)

// ErrLocked is returned by FS.Lock when another holder has the lock.
var ErrLocked = errors.New("locked by another process")
