package rot

import (
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestCutPowerBesideOthers: a power cut at the moment of a link, a lock or a rename ends, and so do they.
func TestCutPowerBesideOthers(t *testing.T) {
	disk := NewCrashable()
	f, err := disk.Create("file", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	for worker := range 4 {
		work.Go(func() {
			for i := range 1000 {
				if err := use(disk, fmt.Sprintf("%d-%d", worker, i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { defer close(done); work.Wait() }()
	for {
		disk.CrashClone(vfs.CrashCloneCfg{})
		select {
		case <-done:
			return
		default:
		}
	}
}

// use does what takes MemFS's lock twice.
func use(disk *Crashable, name string) error {
	lock, err := disk.Lock("lock-" + name)
	if err != nil {
		return err
	}
	if err := lock.Close(); err != nil {
		return err
	}
	if err := disk.Link("file", "link-"+name); err != nil {
		return err
	}
	f, err := disk.ReuseForWrite("link-"+name, "file-"+name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	return f.Close()
}
