package state

import (
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk is the file system as Pebble is given it. It mends two things:
//
// A failed write to the WAL, or sync of a directory, ends the process here, with
// its cause. Pebble panics where it meets one while it changes WALs or moves a
// marker, in a way that nothing can recover from.
//
// A marker names another file, and both are new entries of one directory that
// Pebble syncs once, after the marker is there. POSIX lets either entry reach the disk
// alone, and a marker without its file is a state that cannot be opened: so
// the directory is synced before a marker is made, too.
type disk struct {
	vfs.FS
	fatal func(error)
}

// Create is vfs.FS's.
func (d *disk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(d.PathBase(name), "marker.") {
		if err := syncDir(d.FS, d.PathDir(name)); err != nil {
			return nil, err
		}
	}
	f, err := d.FS.Create(name, c)
	return d.log(name, f, err)
}

// ReuseForWrite is vfs.FS's.
func (d *disk) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.ReuseForWrite(old, name, c)
	return d.log(name, f, err)
}

// OpenDir is vfs.FS's.
func (d *disk) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return guarded{File: f, name: name, fatal: d.fatal}, nil
}

// Unwrap is vfs.FS's.
func (d *disk) Unwrap() vfs.FS { return d.FS }

// log guards a file that is to be written, if it is a WAL.
func (d *disk) log(name string, f vfs.File, err error) (vfs.File, error) {
	if !strings.HasSuffix(name, ".log") {
		return f, err
	}
	g := guarded{File: f, name: name, fatal: d.fatal}
	return g, g.must("open", err)
}

// guarded is a file of which every failed write or sync ends the process.
type guarded struct {
	vfs.File
	name  string
	fatal func(error)
}

// must ends the process on an error.
func (g guarded) must(verb string, err error) error {
	if err != nil {
		stop(g.fatal, fmt.Errorf("storage failed: %s %s: %w", verb, g.name, err))
	}
	return nil
}

// Write is vfs.File's.
func (g guarded) Write(b []byte) (int, error) {
	n, err := g.File.Write(b)
	return n, g.must("write", err)
}

// Sync is vfs.File's.
func (g guarded) Sync() error { return g.must("sync", g.File.Sync()) }

// SyncData is vfs.File's.
func (g guarded) SyncData() error { return g.must("sync", g.File.SyncData()) }

// SyncTo is vfs.File's.
func (g guarded) SyncTo(length int64) (bool, error) {
	full, err := g.File.SyncTo(length)
	return full, g.must("sync", err)
}

// Close is vfs.File's.
func (g guarded) Close() error { return g.must("close", g.File.Close()) }
