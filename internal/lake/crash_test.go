package lake

import (
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"daybook/internal/test/rot"
)

// faultFS is a file system with hooks before and after each operation.
type faultFS struct {
	vfs.FS
	under  FS
	mu     sync.Mutex                  // the hooks run one at a time: directories are synced concurrently
	before func(op, path string) error // its error is returned in place of the operation
	after  func(op, path string) error // its error is returned although the operation happened
}

func newFaultFS(under FS) *faultFS {
	f := &faultFS{under: under}
	f.quiet()
	f.FS = errorfs.Wrap(under, errorfs.InjectorFunc(func(op errorfs.Op) error { return f.hook(&f.before, "", op.Path) }))
	return f
}

func (f *faultFS) hook(h *func(op, path string) error, op, path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return (*h)(op, path)
}

func (f *faultFS) around(op, path string, do func() error) error {
	if err := f.hook(&f.before, op, path); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return f.hook(&f.after, op, path)
}

func (f *faultFS) Symlink(target, name string) error {
	return f.around("symlink", name, func() error { return f.under.Symlink(target, name) })
}

func (f *faultFS) Readlink(name string) (string, error) {
	if err := f.hook(&f.before, "readlink", name); err != nil {
		return "", err
	}
	return f.under.Readlink(name)
}

func (f *faultFS) Rename(oldname, newname string) error {
	return f.around("rename", newname, func() error { return f.under.Rename(oldname, newname) })
}

func (f *faultFS) RenameNew(oldname, newname string) error {
	return f.around("rename", newname, func() error { return f.under.RenameNew(oldname, newname) })
}

func (f *faultFS) Link(oldname, newname string) error {
	return f.around("link", newname, func() error { return f.under.Link(oldname, newname) })
}

func (f *faultFS) MkdirAll(dir string, perm os.FileMode) error {
	return f.around("mkdir", dir, func() error { return f.under.MkdirAll(dir, perm) })
}

func (f *faultFS) Remove(name string) error {
	return f.around("remove", name, func() error { return f.under.Remove(name) })
}

func (f *faultFS) RemoveAll(name string) error {
	return f.around("remove", name, func() error { return f.under.RemoveAll(name) })
}

// failAt makes the operation with this number fail, before or after it happens. hit becomes true when it does.
func (f *faultFS) failAt(number int, fault error, afterwards bool) (hit *bool) {
	hit = new(bool)
	ops := 0
	hook := func(string, string) error {
		if ops++; ops == number {
			*hit = true
			return fault
		}
		return nil
	}
	if afterwards {
		f.after = hook
	} else {
		f.before = hook
	}
	return hit
}

// quiet removes the hooks.
func (f *faultFS) quiet() {
	f.before = func(string, string) error { return nil }
	f.after = f.before
}

// wholeAndGoesOn recovers a lake in which release 1 (cost 7) was published, and release 2 (cost 8) perhaps. It checks
// that one of them is current and whole, and publishes the next.
func wholeAndGoesOn(t *testing.T, fsys FS, published bool) {
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
			fsys := newFaultFS(Mem(under))
			s := Open("/lake", fsys, nil).Tenant("acme")
			unlock, err := s.Lock()
			if err != nil {
				t.Fatal(err)
			}
			publishDays(t, s, "7", "2025-01-01", "2025-01-02")
			hit := fsys.failAt(i+1, errFault, afterwards)
			_, err = s.Recover()
			if err == nil {
				_, err = tryPublish(t, s, "8", "2025-01-02")
			}
			if fsys.quiet(); !*hit {
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
				wholeAndGoesOn(t, Mem(crashed), err == nil)
			}
			wholeAndGoesOn(t, Mem(under), err == nil)
		}
	}
}

// TestUnclearRenameIsReadBack: a rename that happened and reports an error counts as done.
func TestUnclearRenameIsReadBack(t *testing.T) {
	for _, target := range []string{"/lake/acme/releases/000002", "/lake/acme/current"} {
		fsys := newFaultFS(Mem(rot.NewCrashable()))
		s := Open("/lake", fsys, nil).Tenant("acme")
		lock(t, s)
		publishDays(t, s, "7", "2025-01-01", "2025-01-02")
		hit := 0
		fsys.after = func(op, path string) error {
			if op == "rename" && path == target {
				hit++
				return syscall.EIO
			}
			return nil
		}
		publishDays(t, s, "8", "2025-01-02")
		fsys.quiet()
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
	fsys := newFaultFS(Mem(under))
	s := Open("/lake", fsys, nil).Tenant("acme")
	lock(t, s)
	publishDays(t, s, "7", "2025-01-01", "2025-01-02")
	var crashes []*rot.Crashable
	fsys.before = func(_, path string) error {
		for _, percent := range []int{0, 30, 70, 100} {
			crashes = append(crashes, under.CrashClone(vfs.CrashCloneCfg{
				UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(uint64(len(crashes)), 2)),
			}))
		}
		return nil
	}
	publishDays(t, s, "8", "2025-01-02")
	fsys.quiet()
	if len(crashes) < 100 {
		t.Fatalf("only %d crashes", len(crashes))
	}
	for _, crashed := range crashes {
		wholeAndGoesOn(t, Mem(crashed), false)
	}
	wholeAndGoesOn(t, Mem(under.CrashClone(vfs.CrashCloneCfg{})), true)
}

// TestCrashBetweenRenameAndSwitch: the release is in releases/, and current does not name it yet.
func TestCrashBetweenRenameAndSwitch(t *testing.T) {
	under := rot.NewCrashable()
	fsys := newFaultFS(Mem(under))
	s := Open("/lake", fsys, nil).Tenant("acme")
	lock(t, s)
	publishDays(t, s, "7", "2025-01-01", "2025-01-02")
	fsys.before = func(op, _ string) error {
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
		after := Open("/lake", Mem(crashed), nil).Tenant("acme")
		lock(t, after)
		if m, err := after.Current(); err != nil || m.Release != 1 {
			t.Fatal(m, err)
		}
		if damage {
			flipByte(t, Mem(crashed), "/lake/acme/releases/000002/daily_account_cost/usage_date=2025-01-02/part-000002-0.parquet")
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
	for name, fsys := range map[string]FS{"memory": Mem(vfs.NewMem()), "disk": OS()} {
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

func flipByte(t *testing.T, fsys FS, name string) {
	t.Helper()
	data, err := readFile(fsys, name)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 0x10
	f, err := fsys.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close(), syncDir(fsys, fsys.PathDir(name))); err != nil {
		t.Fatal(err)
	}
}
