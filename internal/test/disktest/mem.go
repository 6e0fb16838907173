// Package disktest has file systems for tests of what uses internal/disk: one in memory, whose
// power can be cut, and one whose operations fail.
package disktest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/disk"
)

// memLink begins the file that is a symbolic link.
const memLink = "symbolic link to "

// Mem is a file system on one of Pebble's, which tests make in memory, crashable or not. A
// symbolic link is a small file that names its target, and, like a real one, is as durable as its
// directory's entry; paths are not resolved through it.
func Mem(under vfs.FS) disk.FS { return &memFS{under: under} }

type memFS struct {
	under vfs.FS
	mu    sync.Mutex // makes Symlink, RenameNew and Exchange one step among themselves
}

// Create is disk.FS's.
func (m *memFS) Create(name string) (disk.File, error) {
	f, err := m.under.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	return memFile{f}, nil
}

// Open is disk.FS's.
func (m *memFS) Open(name string) (disk.File, error) {
	f, err := m.under.Open(name)
	if err != nil {
		return nil, err
	}
	return memFile{f}, nil
}

// Symlink is disk.FS's.
func (m *memFS) Symlink(target, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.under.Stat(name); err == nil {
		return &os.LinkError{Op: "symlink", Old: target, New: name, Err: fs.ErrExist}
	}
	return disk.WriteFile(m, name, []byte(memLink+target))
}

// Readlink is disk.FS's.
func (m *memFS) Readlink(name string) (string, error) {
	data, err := disk.ReadFile(m, name)
	if err != nil {
		return "", err
	}
	target, ok := strings.CutPrefix(string(data), memLink)
	if !ok {
		return "", fmt.Errorf("read link %s: not a link", name)
	}
	return target, nil
}

// RenameNew is disk.FS's.
func (m *memFS) RenameNew(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.under.Stat(newname); err == nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: fs.ErrExist}
	}
	return m.under.Rename(oldname, newname)
}

// Exchange is disk.FS's. It is one step for other callers of this package alone.
func (m *memFS) Exchange(a, b string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range []string{a, b} {
		if _, err := m.under.Stat(name); err != nil {
			return err
		}
	}
	aside := path.Join(path.Dir(a), ".exchange")
	return errors.Join(m.under.Rename(a, aside), m.under.Rename(b, a), m.under.Rename(aside, b))
}

// Lock is disk.FS's.
func (m *memFS) Lock(name string) (io.Closer, error) {
	closer, err := m.under.Lock(name)
	if errors.Is(err, syscall.EAGAIN) {
		err = disk.ErrLocked
	}
	return closer, err
}

// SyncDir is disk.FS's.
func (m *memFS) SyncDir(dir string) error {
	d, err := m.under.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Stat is disk.FS's.
func (m *memFS) Stat(name string) (fs.FileInfo, error) { return m.under.Stat(name) }

// List is disk.FS's.
func (m *memFS) List(dir string) ([]string, error) { return m.under.List(dir) }

// MkdirAll is disk.FS's.
func (m *memFS) MkdirAll(dir string, perm fs.FileMode) error { return m.under.MkdirAll(dir, perm) }

// Remove is disk.FS's.
func (m *memFS) Remove(name string) error { return m.under.Remove(name) }

// RemoveAll is disk.FS's.
func (m *memFS) RemoveAll(name string) error { return m.under.RemoveAll(name) }

// Rename is disk.FS's.
func (m *memFS) Rename(oldname, newname string) error { return m.under.Rename(oldname, newname) }

// Link is disk.FS's.
func (m *memFS) Link(oldname, newname string) error { return m.under.Link(oldname, newname) }

type memFile struct{ vfs.File }

// Stat is disk.File's.
func (f memFile) Stat() (fs.FileInfo, error) { return f.File.Stat() }
