package lake

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/disk"
	"daybook/internal/test/disktest"
	"daybook/internal/test/rot"
)

// wholeAndGoesOn recovers a lake in which release 1 (cost 7) was published, and release 2 (cost 8) perhaps. It checks
// that one of them is current and whole, and publishes the next.
func wholeAndGoesOn(t *testing.T, fsys disk.FS, published bool) {
	t.Helper()
	s := Open("/lake", fsys, nil).Tenant("acme")
	unlock, err := s.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unlock() }()
	found, err := s.Recover()
	if err != nil {
		t.Fatal(err)
	}
	if found.Aside != "" {
		t.Fatalf("release set aside at %s: what reached releases/ was not whole", found.Aside)
	}
	m, err := s.Current()
	if err != nil {
		t.Fatal(err)
	}
	if m == nil || m.Release > 2 || published && m.Release != 2 {
		t.Fatalf("current is %+v", m)
	}
	if err := s.Verify(m, nil); err != nil {
		t.Fatal(err)
	}
	rows, err := s.ReadAccountDays(m, day(t, "2025-01-02"))
	if err != nil {
		t.Fatal(err)
	}
	if want := map[int]string{1: "7", 2: "8"}[m.Release]; rows[1].Total.String() != want {
		t.Fatalf("release %d says %s", m.Release, rows[1].Total)
	}
	next, err := tryPublish(t, s, "9", "2025-01-02")
	if err != nil || next.Release != m.Release+1 {
		t.Fatalf("publish after recovery: %v", err)
	}
	names, err := fsys.List("/lake/acme/tmp")
	if err != nil || len(names) > 0 {
		t.Fatalf("tmp/ holds %v (%v)", names, err)
	}
}

// TestFailAtEachOperation fails each file system operation of a publication in turn, until a run meets no fault. The
// previous or the new release is current and whole, after a crash, too, and the next one can be published.
func TestFailAtEachOperation(t *testing.T) {
	errFault := errors.New("injected fault")
	for _, afterwards := range []bool{false, true} {
		for i := 0; ; i++ {
			under := rot.NewCrashable()
			fsys := disktest.NewFaults(disktest.Mem(under))
			s := Open("/lake", fsys, nil).Tenant("acme")
			unlock, err := s.Lock()
			if err != nil {
				t.Fatal(err)
			}
			publishDays(t, s, "7", "2025-01-01", "2025-01-02")
			hit := fsys.FailAt(i+1, errFault, afterwards)
			_, err = s.Recover()
			if err == nil {
				_, err = tryPublish(t, s, "8", "2025-01-02")
			}
			if fsys.Quiet(); !*hit {
				if err != nil {
					t.Fatal(err)
				}
				if i < 4 {
					t.Fatalf("only %d operations were tried", i)
				}
				break
			}
			if err := unlock(); err != nil {
				t.Fatal(err)
			}
			for _, percent := range []int{0, 50, 100} {
				crashed := under.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(uint64(i), 1))})
				wholeAndGoesOn(t, disktest.Mem(crashed), err == nil)
			}
			wholeAndGoesOn(t, disktest.Mem(under), err == nil)
		}
	}
}

// TestUnclearRenameIsReadBack: a rename that happened and reports an error counts as done.
func TestUnclearRenameIsReadBack(t *testing.T) {
	for _, target := range []string{"/lake/acme/releases/000002", "/lake/acme/current"} {
		fsys := disktest.NewFaults(disktest.Mem(rot.NewCrashable()))
		s := Open("/lake", fsys, nil).Tenant("acme")
		lock(t, s)
		publishDays(t, s, "7", "2025-01-01", "2025-01-02")
		hit := 0
		fsys.After = func(op disktest.Op, path string) error {
			if op == "rename" && path == target {
				hit++
				return syscall.EIO
			}
			return nil
		}
		publishDays(t, s, "8", "2025-01-02")
		fsys.Quiet()
		m, err := s.Current()
		if err != nil || m.Release != 2 || hit != 1 {
			t.Fatalf("%s: current is %+v, %v after %d faults", target, m, err, hit)
		}
		if err := s.Verify(m, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCrashAtEachOperation cuts the power before each operation of a publication in turn.
func TestCrashAtEachOperation(t *testing.T) {
	under := rot.NewCrashable()
	fsys := disktest.NewFaults(disktest.Mem(under))
	s := Open("/lake", fsys, nil).Tenant("acme")
	lock(t, s)
	publishDays(t, s, "7", "2025-01-01", "2025-01-02")
	var crashes []*rot.Crashable
	fsys.Before = func(_ disktest.Op, path string) error {
		for _, percent := range []int{0, 30, 70, 100} {
			crashes = append(crashes, under.CrashClone(vfs.CrashCloneCfg{
				UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(uint64(len(crashes)), 2)),
			}))
		}
		return nil
	}
	publishDays(t, s, "8", "2025-01-02")
	fsys.Quiet()
	if len(crashes) < 100 {
		t.Fatalf("only %d crashes", len(crashes))
	}
	for _, crashed := range crashes {
		wholeAndGoesOn(t, disktest.Mem(crashed), false)
	}
	wholeAndGoesOn(t, disktest.Mem(under.CrashClone(vfs.CrashCloneCfg{})), true)
}

// TestCrashBetweenRenameAndSwitch: the release is in releases/, and current does not name it yet.
func TestCrashBetweenRenameAndSwitch(t *testing.T) {
	under := rot.NewCrashable()
	fsys := disktest.NewFaults(disktest.Mem(under))
	s := Open("/lake", fsys, nil).Tenant("acme")
	lock(t, s)
	publishDays(t, s, "7", "2025-01-01", "2025-01-02")
	fsys.Before = func(op disktest.Op, _ string) error {
		if op == "symlink" {
			return errors.New("power cut")
		}
		return nil
	}
	if _, err := tryPublish(t, s, "8", "2025-01-02"); err == nil {
		t.Fatal("published")
	}
	for _, damage := range []bool{false, true} {
		crashed := under.CrashClone(vfs.CrashCloneCfg{})
		after := Open("/lake", disktest.Mem(crashed), nil).Tenant("acme")
		lock(t, after)
		if m, err := after.Current(); err != nil || m.Release != 1 {
			t.Fatal(m, err)
		}
		if damage {
			flipByte(t, disktest.Mem(crashed), "/lake/acme/releases/000002/daily_account_cost/usage_date=2025-01-02/part-000002-0.parquet")
		}
		found, err := after.Recover()
		if err != nil {
			t.Fatal(err)
		}
		m, err := after.Current()
		if err != nil {
			t.Fatal(err)
		}
		if damage {
			if found.Finished != 0 || !strings.HasSuffix(found.Aside, "/aside/000002.0") || m.Release != 1 {
				t.Errorf("damaged: found %+v, current %d", found, m.Release)
			}
			if _, err := after.Manifest(2); !errors.Is(err, ErrNoRelease) {
				t.Errorf("manifest of the release set aside: %v", err)
			}
			if next := publishDays(t, after, "8", "2025-01-02"); next.Release != 2 {
				t.Errorf("its number was not used again: %d", next.Release)
			}
		} else if found != (Recovery{Finished: 2}) || m.Release != 2 {
			t.Errorf("found %+v, current %d", found, m.Release)
		}
	}
}

// TestTakenNumberIsNeverRenamedOver: of two builds with one number the second is refused, even without the lock that
// keeps publishers apart, and readers have the first.
func TestTakenNumberIsNeverRenamedOver(t *testing.T) {
	for name, fsys := range map[string]disk.FS{"memory": disktest.Mem(vfs.NewMem()), "disk": disk.OS()} {
		t.Run(name, func(t *testing.T) {
			root := "/lake"
			if name == "disk" {
				root = t.TempDir()
			}
			s := Open(root, fsys, nil).Tenant("acme")
			lock(t, s)
			var builds []*Build
			var manifests []*Manifest
			for _, cost := range []string{"7", "8"} {
				b, err := s.Begin(1, nil)
				if err != nil {
					t.Fatal(err)
				}
				b.dir += cost // each in a directory of its own, as two publishers on two machines may have
				m, err := fill(t, b, nil, cost, "2025-01-02")
				if err != nil {
					t.Fatal(err)
				}
				builds, manifests = append(builds, b), append(manifests, m)
			}
			if err := builds[0].Publish(manifests[0]); err != nil {
				t.Fatal(err)
			}
			if err := builds[1].Publish(manifests[1]); !errors.Is(err, ErrTaken) {
				t.Errorf("the second says %v, want %v", err, ErrTaken)
			}
			m, err := s.Current()
			if err != nil {
				t.Fatal(err)
			}
			rows, err := s.ReadAccountDays(m, day(t, "2025-01-02"))
			if err != nil || rows[1].Total.String() != "7" {
				t.Errorf("readers have %v, %v", rows, err)
			}
		})
	}
}

func flipByte(t *testing.T, fsys disk.FS, name string) {
	t.Helper()
	data, err := disk.ReadFile(fsys, name)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 0x10
	f, err := fsys.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close(), fsys.SyncDir(filepath.Dir(name))); err != nil {
		t.Fatal(err)
	}
}
