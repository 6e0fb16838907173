package rot

import (
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Crashable is an in-memory disk whose power can be cut while others write to it.
// vfs.MemFS cannot by itself: its Link takes the lock twice that CrashClone
// waits for in between, and neither goes on.
type Crashable struct {
	*vfs.MemFS
	links sync.RWMutex // a Link reads, a CrashClone writes
}

// NewCrashable returns an empty disk.
func NewCrashable() *Crashable { return &Crashable{MemFS: vfs.NewCrashableMem()} }

// Link is vfs.FS's.
func (d *Crashable) Link(old, new string) error {
	d.links.RLock()
	defer d.links.RUnlock()
	return d.MemFS.Link(old, new)
}

// CrashClone returns what a power cut now would leave. The disk itself goes on.
func (d *Crashable) CrashClone(cfg vfs.CrashCloneCfg) *Crashable {
	d.links.Lock()
	defer d.links.Unlock()
	return &Crashable{MemFS: d.MemFS.CrashClone(cfg)}
}
