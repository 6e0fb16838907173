package simtest

import (
	"path"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"daybook/internal/disk"
	"daybook/internal/test/disktest"
	"daybook/internal/test/rot"
)

// machineDisk is one machine's file system. It counts writes, cuts the power before
// one of them, refuses some, and is slow. What it is until a crash is mem's;
// the next machine gets a clone of that.
type machineDisk struct {
	mem   *rot.Crashable
	state vfs.FS
	lake  disk.FS

	mu struct {
		sync.Mutex
		writes   int    // until the power is cut; 0: it is not
		cut      func() // ends the machine; nil: nothing does
		refusals int    // writes to refuse with errno
		errno    syscall.Errno
		refused  int // writes refused so far
		yields   int // how slow a write is
	}
}

func newDisk(mem *rot.Crashable) *machineDisk {
	d := &machineDisk{mem: mem}
	d.state = errorfs.Wrap(mem, errorfs.InjectorFunc(d.before))
	d.lake = disktest.Mem(d.state)
	return d
}

// cutAfter calls cut before the n-th write from now, or, where n is 0, only
// before one that is refused and ends ingest.
func (d *machineDisk) cutAfter(n int, cut func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.writes, d.mu.cut = n, cut
}

// refuse has the next n writes fail.
func (d *machineDisk) refuse(n int, errno syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.refusals, d.mu.errno = n, errno
}

// slow makes each write give way to the other goroutines so many times. It does
// not sleep: in fake time a sleeping holder of a mutex would stop the clock.
func (d *machineDisk) slow(yields int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.yields = yields
}

// heal ends all faults.
func (d *machineDisk) heal() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.writes, d.mu.cut, d.mu.refusals, d.mu.yields = 0, nil, 0, 0
}

// refused reports whether a write was refused since the machine started.
func (d *machineDisk) refused() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.refused > 0
}

// before sees every operation before it happens.
func (d *machineDisk) before(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() == errorfs.OpIsRead || op.Kind == errorfs.OpLock || op.Kind == errorfs.OpFileClose {
		return nil
	}
	d.mu.Lock()
	cut, yields := d.mu.cut, d.mu.yields
	err := error(nil)
	if d.mu.refusals > 0 {
		d.mu.refusals--
		d.mu.refused++
		err = d.mu.errno
	}
	switch {
	case d.mu.writes > 1 && (err == nil || !ends(op)):
		d.mu.writes--
		cut = nil
	case d.mu.writes == 1:
		d.mu.writes, err = 0, nil
	case err != nil && ends(op):
		err = nil
	default:
		cut = nil
	}
	d.mu.Unlock()
	for range yields {
		runtime.Gosched()
	}
	if cut != nil {
		cut()
	}
	return err
}

// ends reports whether the failure of a write ends ingest at once: state fails
// stop on all but the tables, which Pebble writes again. The sweeps of
// internal/state show that it does; here the machine stops in its place.
func ends(op errorfs.Op) bool {
	if path.Dir(op.Path) != stateDir+"/db" && op.Path != stateDir+"/db" {
		return false
	}
	return !strings.HasSuffix(op.Path, ".sst") || op.Kind == errorfs.OpLink || op.Kind == errorfs.OpRename
}
