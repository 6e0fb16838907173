package lake

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS is the file system that a lake is on: Pebble's, with the operations that publishing needs besides. OS is the
// machine's, Mem one in memory.
type FS interface {
	vfs.FS
	// Symlink creates the symbolic link name, which points to target.
	Symlink(target, name string) error
	// Readlink returns the target of a link. fs.ErrNotExist.
	Readlink(name string) (string, error)
	// RenameNew renames a file or directory, and fails with fs.ErrExist if newname exists.
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
		err = nil // the file shrank: the hash check finds it
	}
	return data[:n], err
}

// replaceFile writes data to name, atomically and durably: it writes and syncs the file temporary, which is on the same
// file system, renames it, and syncs the directory.
func replaceFile(fsys FS, temporary, name string, data []byte) error {
	f, err := fsys.Create(temporary, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(bytes.Clone(data)) // Write may overwrite its argument, and the caller still needs data
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

// linkRefused reports whether an error of Link means that this file system, or this file, takes no further hard link,
// so that a copy is needed.
func linkRefused(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EXDEV, syscall.EMLINK, syscall.EPERM, syscall.ENOTSUP, syscall.ENOSYS} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
