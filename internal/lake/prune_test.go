package lake

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/disk"
	"daybook/internal/test/disktest"
	"daybook/internal/test/rot"
)

// TestPrunedReleaseStaysForItsGrace: a reader that has resolved a release reads it by path until the grace period is
// over. Then all of it is gone.
func TestPrunedReleaseStaysForItsGrace(t *testing.T) {
	now := testNow
	s := Open(t.TempDir(), disk.OS(), func() time.Time { return now }).Tenant("acme")
	lock(t, s)
	var manifests []*Manifest
	for _, cost := range []string{"1", "2", "3", "4"} {
		manifests = append(manifests, publishDays(t, s, cost, "2025-01-02"))
	}
	prune := func(pruned, removed []int) {
		t.Helper()
		done, err := s.Prune(Retention{Keep: 1, Grace: time.Hour}, false)
		if err != nil || !slices.Equal(done.Releases, pruned) || !slices.Equal(done.Removed, removed) {
			t.Fatalf("pruned %v, removed %v, error %v; want %v and %v", done.Releases, done.Removed, err, pruned, removed)
		}
	}
	prune([]int{1, 2, 3}, nil)
	now = now.Add(59 * time.Minute)
	if err := s.Keep(2, "close"); err != nil {
		t.Fatal(err)
	}
	listed, err := s.List()
	if err != nil || len(listed) != 4 || !listed[0].Pruned || listed[1].Pruned || !listed[2].Pruned || listed[3].Pruned {
		t.Errorf("listed: %+v, %v", listed, err)
	}
	prune(nil, nil)
	for _, m := range manifests {
		if err := s.Verify(m, nil); err != nil {
			t.Errorf("in its grace period: %v", err)
		}
	}
	if err := s.Keep(2, ""); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	prune([]int{2}, []int{1, 3}) // its label is gone: the grace period begins again
	for n, there := range map[int]bool{1: false, 2: true, 3: false, 4: true} {
		if _, err := os.Stat(s.Dir(n)); (err == nil) != there {
			t.Errorf("release %d: %v", n, err)
		}
		if _, err := s.Manifest(n); err != nil {
			t.Errorf("manifest %d: %v", n, err)
		}
	}
	if left, err := filepath.Glob(s.path(prunedDir, "*")); err != nil || len(left) > 0 {
		t.Errorf("pruned/ holds %v (%v)", left, err)
	}
}

// TestPruneFailsAtEachOperation fails each file system operation of Prune in turn, before or after it happened, with
// and without a power cut. Releases that are kept stay whole, pruned ones are whole or gone, and the next Prune
// completes the work.
func TestPruneFailsAtEachOperation(t *testing.T) {
	errFault := errors.New("injected fault")
	keep := Retention{Keep: 1}
	for _, afterwards := range []bool{false, true} {
		for i := 0; ; i++ {
			under := rot.NewCrashable()
			fsys := disktest.NewFaults(disktest.Mem(under))
			s := Open("/lake", fsys, func() time.Time { return testNow }).Tenant("acme")
			unlock, err := s.Lock()
			if err != nil {
				t.Fatal(err)
			}
			for _, cost := range []string{"1", "2", "3"} {
				publishDays(t, s, cost, "2025-01-02")
			}
			hit := fsys.FailAt(i+1, errFault, afterwards)
			_, err = s.Prune(keep, false)
			if fsys.Quiet(); !*hit {
				if err != nil || i < 10 {
					t.Fatalf("%d operations, error %v", i, err)
				}
				break
			}
			if err := unlock(); err != nil {
				t.Fatal(err)
			}
			disks := []*rot.Crashable{under}
			for _, percent := range []int{0, 50, 100} {
				disks = append(disks, under.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(uint64(i), 3))}))
			}
			for _, disk := range disks {
				prunesOn(t, Open("/lake", disktest.Mem(disk), func() time.Time { return testNow }).Tenant("acme"), keep)
			}
		}
	}
}

// prunesOn checks a lake of three releases after an interrupted Prune, and completes it.
func prunesOn(t *testing.T, s *Series, keep Retention) {
	t.Helper()
	unlock, err := s.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unlock() }()
	if found, err := s.Recover(); err != nil || found != (Recovery{}) {
		t.Fatalf("recover: %+v, %v", found, err)
	}
	for n := 1; n <= 3; n++ {
		m, err := s.Manifest(n)
		if err != nil {
			t.Fatal(err)
		}
		there, err := disk.Exists(s.fs, s.Dir(n))
		if err != nil || n == 3 && !there {
			t.Fatalf("release %d: there %t, %v", n, there, err)
		}
		if there {
			if err := s.Verify(m, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := s.Prune(keep, false); err != nil {
		t.Fatal(err)
	}
	if numbers, err := s.present(); err != nil || !slices.Equal(numbers, []int{3}) {
		t.Fatalf("releases %v, %v", numbers, err)
	}
	if left, err := s.fs.List(s.path(prunedDir)); err != nil && !errors.Is(err, os.ErrNotExist) || len(left) > 0 {
		t.Fatalf("pruned/ holds %v (%v)", left, err)
	}
}
