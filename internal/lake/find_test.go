package lake

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/test/disktest"
)

// TestFindWithoutRelease: neither the newest release nor any other is found in an empty lake.
func TestFindWithoutRelease(t *testing.T) {
	s := Open("/lake", disktest.Mem(vfs.NewMem()), nil).Tenant("acme")
	for _, n := range []int{0, 1} {
		if _, err := s.Find(n); !errors.Is(err, ErrNoRelease) {
			t.Errorf("release %d: %v, want %v", n, err, ErrNoRelease)
		}
	}
}
