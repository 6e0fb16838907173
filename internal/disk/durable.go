package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
)

// ReadFile reads a whole file.
func ReadFile(fsys FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	data := make([]byte, info.Size())
	n, err := io.ReadFull(f, data)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = nil // shorter than its size: callers check what they read
	}
	return data[:n], err
}

// Exists reports whether name exists.
func Exists(fsys FS, name string) (bool, error) {
	_, err := fsys.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// WriteFile makes a new file of data and its content durable. After an error a part of it may be
// there.
func WriteFile(fsys FS, name string, data []byte) error {
	f, err := fsys.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(bytes.Clone(data)) // a write may change what it is given
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// ReplaceFile makes data the content of name, durably: after a crash name has its old content or
// data, nothing between. temporary is a name on the same file system; after an error it may be there.
func ReplaceFile(fsys FS, temporary, name string, data []byte) error {
	if err := WriteFile(fsys, temporary, data); err != nil {
		return err
	}
	if err := fsys.Rename(temporary, name); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(name))
}

// SyncDirs makes the names in directories durable, one after the other.
func SyncDirs(fsys FS, dirs ...string) error {
	for _, dir := range dirs {
		if err := fsys.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// MkdirAll makes dir and what is missing above it, durably.
func MkdirAll(fsys FS, dir string, perm fs.FileMode) error {
	there, err := Exists(fsys, dir)
	if there || err != nil {
		return err
	}
	parent := filepath.Dir(dir)
	if err := MkdirAll(fsys, parent, perm); err != nil {
		return err
	}
	if err := fsys.MkdirAll(dir, perm); err != nil {
		return err
	}
	return fsys.SyncDir(parent)
}

// CopyTree copies a directory of files and directories, symbolic links followed, to a new directory
// that the owner alone can enter, durably. After an error a part of the copy may be there. It ends with ctx's error.
func CopyTree(ctx context.Context, fsys FS, from, to string) error {
	there, err := Exists(fsys, to)
	if there {
		err = &fs.PathError{Op: "copy to", Path: to, Err: fs.ErrExist}
	}
	if err != nil {
		return err
	}
	if err := MkdirAll(fsys, to, 0o700); err != nil {
		return err
	}
	names, err := fsys.List(from)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		source, target := filepath.Join(from, name), filepath.Join(to, name)
		info, err := fsys.Stat(source)
		if err != nil {
			return err
		}
		switch {
		case info.IsDir():
			if err := CopyTree(ctx, fsys, source, target); err != nil {
				return err
			}
		case info.Mode().IsRegular():
			if err := CopyFile(fsys, source, target); err != nil {
				return fmt.Errorf("copy %s: %w", source, err)
			}
		default:
			return fmt.Errorf("copy %s: neither a file nor a directory", source)
		}
	}
	return SyncDirs(fsys, to, filepath.Dir(to))
}

// CopyFile copies a file and makes the copy's content durable.
func CopyFile(fsys FS, from, to string) (err error) {
	in, err := fsys.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // nothing was written
	out, err := fsys.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Sync()
}
