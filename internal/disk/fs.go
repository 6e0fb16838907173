package disk

import (
	"io"
	"io/fs"
)

// File is an open file. A write may change the bytes that it is given.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.Closer
	Stat() (fs.FileInfo, error)
	// Sync makes the content durable, and not the file's name.
	Sync() error
}

// FS is a file system. Errors are those of package os: errors.Is finds fs.ErrNotExist,
// fs.ErrExist and syscall.Errno in them. No change of names is durable before SyncDir.
type FS interface {
	// Create makes a new file for writing and reading. A file of that name is removed, not
	// truncated: another hard link to it keeps its content.
	Create(name string) (File, error)
	// Open opens a file for reading.
	Open(name string) (File, error)
	// Stat follows symbolic links.
	Stat(name string) (fs.FileInfo, error)
	// List returns the names in a directory, in no order.
	List(dir string) ([]string, error)
	// MkdirAll makes a directory and what is missing above it.
	MkdirAll(dir string, perm fs.FileMode) error
	// Remove removes a file or an empty directory.
	Remove(name string) error
	// RemoveAll removes a tree, which need not exist.
	RemoveAll(name string) error
	// Rename replaces newname if it is a file.
	Rename(oldname, newname string) error
	// RenameNew is Rename that fails with fs.ErrExist if newname exists.
	RenameNew(oldname, newname string) error
	// Exchange swaps the names of two directories, or two files, in one step.
	Exchange(a, b string) error
	// Link makes newname a hard link to oldname.
	Link(oldname, newname string) error
	// Symlink makes name a symbolic link to target.
	Symlink(target, name string) error
	// Readlink returns the target of a symbolic link.
	Readlink(name string) (string, error)
	// Lock makes a file and locks it against other callers, of this process too, until the
	// Closer is closed or the process ends: ErrLocked. The file stays.
	Lock(name string) (io.Closer, error)
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
}
