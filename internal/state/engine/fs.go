package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// guardedFS is the file system that Pebble is given. It changes two things:
//
// A failed write to the log (WAL), or sync of a directory, ends the process here, with its cause. Pebble panics
// where it meets such a failure while it rotates logs or moves a marker, in a way that cannot be recovered from.
//
// A marker names another file. Both are new entries of one directory, which Pebble syncs once, after it made the
// marker. POSIX lets either entry reach the disk alone, and a marker without its file is a database that cannot be
// opened. So the directory is also synced before a marker is made.
type guardedFS struct {
	vfs.FS
	fatal func(error)
}

// Create implements vfs.FS.
func (fs *guardedFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(fs.PathBase(name), "marker.") {
		if err := SyncDir(fs.FS, fs.PathDir(name)); err != nil {
			return nil, err
		}
	}
	f, err := fs.FS.Create(name, c)
	return fs.guardLog(name, f, err)
}

// ReuseForWrite implements vfs.FS.
func (fs *guardedFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(old, name, c)
	return fs.guardLog(name, f, err)
}

// OpenDir implements vfs.FS.
func (fs *guardedFS) OpenDir(name string) (vfs.File, error) {
	f, err := fs.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return guardedFile{File: f, name: name, fatal: fs.fatal}, nil
}

// Unwrap implements vfs.FS.
func (fs *guardedFS) Unwrap() vfs.FS { return fs.FS }

// guardLog guards a file that was opened for writing, if it is a log.
func (fs *guardedFS) guardLog(name string, f vfs.File, err error) (vfs.File, error) {
	if !strings.HasSuffix(name, ".log") {
		return f, err
	}
	g := guardedFile{File: f, name: name, fatal: fs.fatal}
	return g, g.must("open", err)
}

// guardedFile is a file whose failed writes, syncs and closes end the process.
type guardedFile struct {
	vfs.File
	name  string
	fatal func(error)
}

// must ends the process if err is not nil.
func (f guardedFile) must(verb string, err error) error {
	if err != nil {
		Stop(f.fatal, fmt.Errorf("storage failed: %s %s: %w", verb, f.name, err))
	}
	return nil
}

// Write implements vfs.File.
func (f guardedFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	return n, f.must("write", err)
}

// Sync implements vfs.File.
func (f guardedFile) Sync() error { return f.must("sync", f.File.Sync()) }

// SyncData implements vfs.File.
func (f guardedFile) SyncData() error { return f.must("sync", f.File.SyncData()) }

// SyncTo implements vfs.File.
func (f guardedFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.must("sync", err)
}

// Close implements vfs.File.
func (f guardedFile) Close() error { return f.must("close", f.File.Close()) }

// SyncDir makes a directory's entries durable.
func SyncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}

// MkdirAll makes dir and the directories above it that are missing, each durably and with mode 0700.
func MkdirAll(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(dir); err == nil || !errors.Is(err, os.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if err := MkdirAll(fs, parent); err != nil {
		return err
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return SyncDir(fs, parent)
}
