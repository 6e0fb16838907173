package disktest

import (
	"io"
	"io/fs"
	"sync"

	"daybook/internal/disk"
)

// Op names an operation of a disk.FS or disk.File: "create", "open", "stat", "list", "mkdir",
// "remove", "rename" (RenameNew too), "exchange", "link", "symlink", "readlink", "lock", "syncdir";
// of a file "read", "write", "sync", "close".
type Op string

// Faults is a file system with a hook at each operation. The hooks run one at a time.
type Faults struct {
	under disk.FS
	mu    sync.Mutex
	// Before is called before an operation; its error is returned in place of the operation. The
	// path of a rename, an exchange or a link is the new name.
	Before func(op Op, path string) error
	// After is called after an operation that changes names ("create", "mkdir", "remove", "rename",
	// "exchange", "link", "symlink") or makes something durable ("sync", "syncdir") has succeeded; its error
	// is returned although the operation happened.
	After func(op Op, path string) error
}

// NewFaults returns a file system without hooks on another one.
func NewFaults(under disk.FS) *Faults { return &Faults{under: under} }

// FailAt makes the operation with this number, from 1, fail with fault, in place of it or after
// it happened. hit says whether there was one.
func (f *Faults) FailAt(number int, fault error, afterwards bool) (hit *bool) {
	hit = new(bool)
	ops := 0
	hook := func(Op, string) error {
		if ops++; ops == number {
			*hit = true
			return fault
		}
		return nil
	}
	if afterwards {
		f.After = hook
	} else {
		f.Before = hook
	}
	return hit
}

// Quiet ends all hooks.
func (f *Faults) Quiet() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Before, f.After = nil, nil
}

func (f *Faults) before(op Op, path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.Before == nil {
		return nil
	}
	return f.Before(op, path)
}

func (f *Faults) after(op Op, path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.After == nil {
		return nil
	}
	return f.After(op, path)
}

// change runs an operation that has both hooks.
func (f *Faults) change(op Op, path string, do func() error) error {
	if err := f.before(op, path); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return f.after(op, path)
}

// Create is disk.FS's.
func (f *Faults) Create(name string) (file disk.File, err error) {
	err = f.change("create", name, func() (err error) {
		file, err = f.under.Create(name)
		return err
	})
	if err != nil {
		if file != nil {
			_ = file.Close() // it happened, and its caller does not know of it
		}
		return nil, err
	}
	return &faultsFile{File: file, faults: f, name: name}, nil
}

// Open is disk.FS's.
func (f *Faults) Open(name string) (disk.File, error) {
	if err := f.before("open", name); err != nil {
		return nil, err
	}
	file, err := f.under.Open(name)
	if err != nil {
		return nil, err
	}
	return &faultsFile{File: file, faults: f, name: name}, nil
}

// Stat is disk.FS's.
func (f *Faults) Stat(name string) (fs.FileInfo, error) {
	if err := f.before("stat", name); err != nil {
		return nil, err
	}
	return f.under.Stat(name)
}

// List is disk.FS's.
func (f *Faults) List(dir string) ([]string, error) {
	if err := f.before("list", dir); err != nil {
		return nil, err
	}
	return f.under.List(dir)
}

// Readlink is disk.FS's.
func (f *Faults) Readlink(name string) (string, error) {
	if err := f.before("readlink", name); err != nil {
		return "", err
	}
	return f.under.Readlink(name)
}

// Lock is disk.FS's.
func (f *Faults) Lock(name string) (io.Closer, error) {
	if err := f.before("lock", name); err != nil {
		return nil, err
	}
	return f.under.Lock(name)
}

// MkdirAll is disk.FS's.
func (f *Faults) MkdirAll(dir string, perm fs.FileMode) error {
	return f.change("mkdir", dir, func() error { return f.under.MkdirAll(dir, perm) })
}

// Remove is disk.FS's.
func (f *Faults) Remove(name string) error {
	return f.change("remove", name, func() error { return f.under.Remove(name) })
}

// RemoveAll is disk.FS's.
func (f *Faults) RemoveAll(name string) error {
	return f.change("remove", name, func() error { return f.under.RemoveAll(name) })
}

// Rename is disk.FS's.
func (f *Faults) Rename(oldname, newname string) error {
	return f.change("rename", newname, func() error { return f.under.Rename(oldname, newname) })
}

// RenameNew is disk.FS's.
func (f *Faults) RenameNew(oldname, newname string) error {
	return f.change("rename", newname, func() error { return f.under.RenameNew(oldname, newname) })
}

// Exchange is disk.FS's.
func (f *Faults) Exchange(a, b string) error {
	return f.change("exchange", b, func() error { return f.under.Exchange(a, b) })
}

// Link is disk.FS's.
func (f *Faults) Link(oldname, newname string) error {
	return f.change("link", newname, func() error { return f.under.Link(oldname, newname) })
}

// Symlink is disk.FS's.
func (f *Faults) Symlink(target, name string) error {
	return f.change("symlink", name, func() error { return f.under.Symlink(target, name) })
}

// SyncDir is disk.FS's.
func (f *Faults) SyncDir(dir string) error {
	return f.change("syncdir", dir, func() error { return f.under.SyncDir(dir) })
}

// faultsFile is a file of a Faults.
type faultsFile struct {
	disk.File
	faults *Faults
	name   string
}

// Read is disk.File's.
func (f *faultsFile) Read(b []byte) (int, error) {
	if err := f.faults.before("read", f.name); err != nil {
		return 0, err
	}
	return f.File.Read(b)
}

// ReadAt is disk.File's.
func (f *faultsFile) ReadAt(b []byte, at int64) (int, error) {
	if err := f.faults.before("read", f.name); err != nil {
		return 0, err
	}
	return f.File.ReadAt(b, at)
}

// Write is disk.File's.
func (f *faultsFile) Write(b []byte) (int, error) {
	if err := f.faults.before("write", f.name); err != nil {
		return 0, err
	}
	return f.File.Write(b)
}

// Sync is disk.File's.
func (f *faultsFile) Sync() error { return f.faults.change("sync", f.name, f.File.Sync) }

// Stat is disk.File's.
func (f *faultsFile) Stat() (fs.FileInfo, error) {
	if err := f.faults.before("stat", f.name); err != nil {
		return nil, err
	}
	return f.File.Stat()
}

// Close is disk.File's. It always closes the file.
func (f *faultsFile) Close() error {
	err := f.faults.before("close", f.name)
	if closeErr := f.File.Close(); err == nil {
		err = closeErr
	}
	return err
}
