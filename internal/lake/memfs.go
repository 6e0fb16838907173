package lake

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const memLink = "symbolic link to "

// Mem returns a lake's file system over one in memory, crashable or not. A symbolic link is a small file that holds its
// target. It is durable once its directory is synced, as a real link is. Paths are not resolved through it.
func Mem(under vfs.FS) FS { return &memFS{FS: under} }

type memFS struct {
	vfs.FS
	mu sync.Mutex // makes Symlink and RenameNew atomic
}

func (m *memFS) Symlink(target, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.Stat(name); err == nil {
		return &os.LinkError{Op: "symlink", Old: target, New: name, Err: fs.ErrExist}
	}
	f, err := m.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if _, err := f.Write([]byte(memLink + target)); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

func (m *memFS) Readlink(name string) (string, error) {
	data, err := readFile(m, name)
	if err != nil {
		return "", err
	}
	target, ok := strings.CutPrefix(string(data), memLink)
	if !ok {
		return "", fmt.Errorf("read link %s: not a link", name)
	}
	return target, nil
}

func (m *memFS) RenameNew(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.Stat(newname); err == nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: fs.ErrExist}
	}
	return m.Rename(oldname, newname)
}
