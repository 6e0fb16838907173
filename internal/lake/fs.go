package lake

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS is the file system that a lake lives on: Pebble's, and what publishing
// needs beside it. OS is the real one, Mem one in memory.
type FS interface {
	vfs.FS
	// Symlink makes name a link to target.
	Symlink(target, name string) error
	// Readlink is the target of a link; it fails with fs.ErrNotExist.
	Readlink(name string) (string, error)
	// RenameNew renames and fails with fs.ErrExist when newname exists.
	RenameNew(oldname, newname string) error
}

// syncDir makes the entries of a directory durable.
func syncDir(fsys FS, dir string) error {
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// readFile reads a whole file.
func readFile(fsys FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	data := make([]byte, info.Size())
	n, err := io.ReadFull(f, data)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = nil // shorter than its size said: the hash will tell
	}
	return data[:n], err
}

// replaceFile makes name hold data, whole or not at all, and durable.
// temporary is a name on the same file system.
func replaceFile(fsys FS, temporary, name string, data []byte) error {
	f, err := fsys.Create(temporary, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(bytes.Clone(data)) // a write may change what it is given, and the caller compares it later
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fsys.Rename(temporary, name); err != nil {
		return err
	}
	return syncDir(fsys, fsys.PathDir(name))
}

// exists reports whether name exists.
func exists(fsys FS, name string) (bool, error) {
	_, err := fsys.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// linkRefused reports errors of Link that say that this file system, or this
// file, takes no (more) hard link, so that a copy must do.
func linkRefused(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EXDEV, syscall.EMLINK, syscall.EPERM, syscall.ENOTSUP, syscall.ENOSYS} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
