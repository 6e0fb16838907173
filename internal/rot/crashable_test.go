package rot

import (
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestCutPowerBesideLinks: a power cut and a link at the same moment both end.
func TestCutPowerBesideLinks(t *testing.T) {
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
			for i := range 5000 {
				if err := disk.Link("file", fmt.Sprintf("link-%d-%d", worker, i)); err != nil {
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
