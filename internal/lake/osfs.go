package lake

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// OS returns the machine's file system.
func OS() FS { return osFS{vfs.Default} }

type osFS struct{ vfs.FS }

func (osFS) Symlink(target, name string) error { return os.Symlink(target, name) }

func (osFS) Readlink(name string) (string, error) { return os.Readlink(name) }

func (osFS) RenameNew(oldname, newname string) error {
	err := renameNoReplace(oldname, newname)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	// The file system has no such rename. The tenant's lock keeps other publishers away between check and rename.
	if _, err := os.Lstat(newname); err == nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: fs.ErrExist}
	}
	return os.Rename(oldname, newname)
}

// Lock takes an flock(2). Pebble's own is a record lock, which a process loses when it closes any descriptor of the
// file.
func (osFS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(&os.PathError{Op: "lock", Path: name, Err: err}, f.Close())
	}
	return f, nil
}
