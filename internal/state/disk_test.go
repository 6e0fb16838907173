package state

import (
	"errors"
	"path"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"daybook/internal/test/rot"
)

// TestFailedWALEndsTheProcess: no write is acknowledged after one to the WAL
// failed, whether a batch meets it or a change of WALs, and the message names the file and the cause.
func TestFailedWALEndsTheProcess(t *testing.T) {
	for name, provoke := range map[string]func(s *Store) error{
		"batch":  func(s *Store) error { _, err := s.Apply(newCourse(nil).batch(0).batch()); return err },
		"change": func(s *Store) error { return s.db.Flush() },
	} {
		t.Run(name, func(t *testing.T) {
			var failing atomic.Bool
			fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
				if failing.Load() && strings.HasSuffix(op.Path, ".log") && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
					return syscall.EIO
				}
				return nil
			}))
			o := newCourse(fs).o
			if err := Create(courseDir, testIdentity(), o); err != nil {
				t.Fatal(err)
			}
			fatal := make(chan error, 10)
			o.Fatal = func(err error) { fatal <- err; select {} }
			s, err := Open(courseDir, o)
			if err != nil {
				t.Fatal(err)
			}
			failing.Store(true)
			acked := make(chan error, 1)
			go func() { acked <- provoke(s) }()
			select {
			case err := <-fatal:
				if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), ".log: input/output error") {
					t.Errorf("the process ends with %q", err)
				}
			case err := <-acked:
				t.Fatalf("acknowledged (%v) although the WAL fails", err)
			}
		})
	}
}

// TestMarkerNamesADurableFile: when a marker is made, the file that it names
// would survive a power cut.
func TestMarkerNamesADurableFile(t *testing.T) {
	mem := rot.NewCrashable()
	markers := 0
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		name, ok := strings.CutPrefix(path.Base(op.Path), "marker.manifest.")
		if op.Kind != errorfs.OpCreate || !ok {
			return nil
		}
		markers++
		_, file, _ := strings.Cut(name, ".")
		if _, err := mem.CrashClone(vfs.CrashCloneCfg{}).Stat(path.Join(path.Dir(op.Path), file)); err != nil {
			t.Errorf("%s is made, and after a power cut: %v", op.Path, err)
		}
		return nil
	}))
	c := newCourse(fs)
	if err := c.run(); err != nil {
		t.Fatal(err)
	}
	if markers < 2 {
		t.Errorf("only %d markers were made", markers)
	}
}
