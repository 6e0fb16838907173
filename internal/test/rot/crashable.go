package rot

import (
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Crashable is an in-memory disk whose power can be cut while others write to it.
// vfs.MemFS cannot by itself: Link, Lock and ReuseForWrite take the lock twice that
// CrashClone waits for in between, and neither goes on.
type Crashable struct {
	*vfs.MemFS
	twice sync.RWMutex // they read, CrashClone writes
}

// NewCrashable returns an empty disk.
func NewCrashable() *Crashable { return &Crashable{MemFS: vfs.NewCrashableMem()} }

// Link is vfs.FS's.
func (d *Crashable) Link(old, new string) error {
	d.twice.RLock()
	defer d.twice.RUnlock()
	return d.MemFS.Link(old, new)
}

// Lock is vfs.FS's.
func (d *Crashable) Lock(name string) (io.Closer, error) {
	d.twice.RLock()
	defer d.twice.RUnlock()
	return d.MemFS.Lock(name)
}

// ReuseForWrite is vfs.FS's.
func (d *Crashable) ReuseForWrite(old, new string, category vfs.DiskWriteCategory) (vfs.File, error) {
	d.twice.RLock()
	defer d.twice.RUnlock()
	return d.MemFS.ReuseForWrite(old, new, category)
}

// CrashClone returns what a power cut now would leave. The disk itself goes on.
func (d *Crashable) CrashClone(cfg vfs.CrashCloneCfg) *Crashable {
	d.twice.Lock()
	defer d.twice.Unlock()
	return &Crashable{MemFS: d.MemFS.CrashClone(cfg)}
}
