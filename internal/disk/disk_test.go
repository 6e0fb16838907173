package disk_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/disk"
	"daybook/internal/test/disktest"
	"daybook/internal/test/rot"
)

// TestFS holds the machine's file system and the one in memory to the same contract.
func TestFS(t *testing.T) {
	for name, fsys := range map[string]disk.FS{"os": disk.OS(), "memory": disktest.Mem(rot.NewCrashable()), "faults": disktest.NewFaults(disk.OS())} {
		t.Run(name, func(t *testing.T) {
			dir := "/dir"
			if name != "memory" {
				dir = t.TempDir()
			}
			at := func(elements ...string) string { return filepath.Join(append([]string{dir}, elements...)...) }
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			holds := func(name, want string) {
				t.Helper()
				if got, err := disk.ReadFile(fsys, name); err != nil || string(got) != want {
					t.Errorf("%s holds %q, %v; want %q", name, got, err, want)
				}
			}
			must(disk.MkdirAll(fsys, at("a", "b"), 0o700))
			must(disk.MkdirAll(fsys, at("a", "b"), 0o700))
			must(disk.ReplaceFile(fsys, at("temporary"), at("a", "file"), []byte("one")))
			must(disk.ReplaceFile(fsys, at("temporary"), at("a", "file"), []byte("two")))
			holds(at("a", "file"), "two")

			// Create leaves the content of another hard link alone.
			must(fsys.Link(at("a", "file"), at("a", "link")))
			if err := fsys.Link(at("a", "file"), at("a", "link")); !errors.Is(err, fs.ErrExist) {
				t.Errorf("link over a file: %v", err)
			}
			must(disk.WriteFile(fsys, at("a", "file"), []byte("three")))
			holds(at("a", "link"), "two")

			if err := fsys.RenameNew(at("a", "file"), at("a", "link")); !errors.Is(err, fs.ErrExist) {
				t.Errorf("RenameNew over a file: %v", err)
			}
			must(fsys.RenameNew(at("a", "file"), at("a", "b", "file")))
			must(fsys.Rename(at("a", "b", "file"), at("a", "link")))
			holds(at("a", "link"), "three")

			must(fsys.Symlink("target", at("current")))
			if got, err := fsys.Readlink(at("current")); got != "target" || err != nil {
				t.Errorf("read link: %q, %v", got, err)
			}
			if err := fsys.Symlink("other", at("current")); !errors.Is(err, fs.ErrExist) {
				t.Errorf("symlink over a link: %v", err)
			}

			must(disk.MkdirAll(fsys, at("x"), 0o700))
			must(disk.WriteFile(fsys, at("x", "only"), []byte("x")))
			must(fsys.Exchange(at("a"), at("x")))
			holds(at("a", "only"), "x")
			holds(at("x", "link"), "three")
			if err := fsys.Exchange(at("a"), at("missing")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("exchange with nothing: %v", err)
			}

			lock, err := fsys.Lock(at("lock"))
			must(err)
			if _, err := fsys.Lock(at("lock")); !errors.Is(err, disk.ErrLocked) {
				t.Errorf("locked twice: %v", err)
			}
			must(lock.Close())
			lock, err = fsys.Lock(at("lock"))
			must(err)
			must(lock.Close())

			for _, missing := range []error{
				second(fsys.Open(at("no"))), second(fsys.Stat(at("no"))), second(fsys.List(at("no"))), second(fsys.Readlink(at("no"))), second(disk.ReadFile(fsys, at("no"))),
				fsys.Remove(at("no")), fsys.Rename(at("no"), at("no2")), fsys.SyncDir(at("no")),
			} {
				if !errors.Is(missing, fs.ErrNotExist) {
					t.Errorf("what does not exist: %v", missing)
				}
			}
			if there, err := disk.Exists(fsys, at("no")); there || err != nil {
				t.Errorf("exists: %v, %v", there, err)
			}
			must(disk.CopyTree(t.Context(), fsys, at("x"), at("copy")))
			holds(at("copy", "link"), "three")
			if err := disk.CopyTree(t.Context(), fsys, at("x"), at("copy")); !errors.Is(err, fs.ErrExist) {
				t.Errorf("copy over a directory: %v", err)
			}
			must(fsys.RemoveAll(at("copy")))
			must(fsys.RemoveAll(at("copy")))
			names, err := fsys.List(dir)
			slices.Sort(names)
			if want := []string{"a", "current", "lock", "x"}; err != nil || !slices.Equal(names, want) {
				t.Errorf("the directory has %q, %v; want %q", names, err, want)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

func TestCopyTreeEnds(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "from"), os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := disk.CopyTree(ctx, disk.OS(), filepath.Join(dir, "from"), filepath.Join(dir, "to")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// sweep runs change on a file system that prepare made, failing each operation in turn, in its place
// and after it, and cutting the power at each. check sees what is there, and whether change said that it was done.
func sweep(t *testing.T, prepare, change func(disk.FS) error, check func(fsys disk.FS, done bool) error) {
	t.Helper()
	errFault := errors.New("injected fault")
	for _, afterwards := range []bool{false, true} {
		for i := 1; ; i++ {
			under := rot.NewCrashable()
			faults := disktest.NewFaults(disktest.Mem(under))
			if err := prepare(faults); err != nil {
				t.Fatal(err)
			}
			hit := faults.FailAt(i, errFault, afterwards)
			err := change(faults)
			faults.Quiet()
			if !*hit {
				if err != nil || i < 4 {
					t.Fatalf("%d operations: %v", i, err)
				}
				break
			}
			if err != nil && !errors.Is(err, errFault) {
				t.Errorf("operation %d: %v", i, err)
			}
			if err := check(faults, err == nil); err != nil {
				t.Errorf("operation %d failed, afterwards %v: %v", i, afterwards, err)
			}
			for _, percent := range []int{0, 50, 100} {
				crashed := under.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(uint64(i), 1))})
				if err := check(disktest.Mem(crashed), err == nil); err != nil {
					t.Errorf("power cut after operation %d, afterwards %v: %v", i, afterwards, err)
				}
			}
		}
	}
}

// TestReplaceFileAtEachFault: name has the old content or the new one, and the new one if
// ReplaceFile returned nil, whatever fails and whenever the power is cut.
func TestReplaceFileAtEachFault(t *testing.T) {
	prepare := func(fsys disk.FS) error {
		return errors.Join(disk.MkdirAll(fsys, "/dir", 0o700), disk.ReplaceFile(fsys, "/dir/temporary", "/dir/name", []byte("old")))
	}
	change := func(fsys disk.FS) error { return disk.ReplaceFile(fsys, "/dir/temporary", "/dir/name", []byte("new")) }
	sweep(t, prepare, change, func(fsys disk.FS, done bool) error {
		got, err := disk.ReadFile(fsys, "/dir/name")
		if err == nil && string(got) != "new" && (done || string(got) != "old") {
			err = fmt.Errorf("it holds %q", got)
		}
		return err
	})
}

// TestCopyTreeAtEachFault: a copy that CopyTree said is made is whole after a power cut.
func TestCopyTreeAtEachFault(t *testing.T) {
	files := map[string]string{"/from/a": "1", "/from/b/c": "2", "/from/b/d/e": "3", "/from/empty": ""}
	prepare := func(fsys disk.FS) error {
		for name, data := range files {
			if err := errors.Join(disk.MkdirAll(fsys, filepath.Dir(name), 0o700), disk.WriteFile(fsys, name, []byte(data)), fsys.SyncDir(filepath.Dir(name))); err != nil {
				return err
			}
		}
		return nil
	}
	change := func(fsys disk.FS) error { return disk.CopyTree(context.Background(), fsys, "/from", "/to") }
	sweep(t, prepare, change, func(fsys disk.FS, done bool) error {
		for name, want := range files {
			to := "/to" + name[len("/from"):]
			if got, err := disk.ReadFile(fsys, to); done && (err != nil || string(got) != want) {
				return fmt.Errorf("%s holds %q, %w", to, got, err)
			}
			if got, err := disk.ReadFile(fsys, name); err != nil || string(got) != want {
				return fmt.Errorf("%s holds %q, %w", name, got, err)
			}
		}
		return nil
	})
}

// TestMkdirAllAtEachFault: a directory that MkdirAll said is made survives a power cut.
func TestMkdirAllAtEachFault(t *testing.T) {
	prepare := func(disk.FS) error { return nil }
	change := func(fsys disk.FS) error { return disk.MkdirAll(fsys, "/a/b/c", 0o700) }
	sweep(t, prepare, change, func(fsys disk.FS, done bool) error {
		there, err := disk.Exists(fsys, "/a/b/c")
		if done && !there {
			return fmt.Errorf("it is gone: %w", err)
		}
		return err
	})
}
