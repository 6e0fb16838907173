package lake_test

import (
	"bytes"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/billing"
	"daybook/internal/disk"
	"daybook/internal/lake"
	"daybook/internal/test/disktest"
	"daybook/internal/test/rot"
)

// linkless is a file system on which each hard link fails with err.
type linkless struct {
	disk.FS
	err     error
	refused int
}

func (f *linkless) Link(oldname, newname string) error {
	f.refused++
	return &os.LinkError{Op: "link", Old: oldname, New: newname, Err: f.err}
}

// TestCopyWhereLinksAreRefused publishes the same two releases on a file system with hard links and on file
// systems that refuse them. The second release keeps most of its files. All files have the same bytes, the
// releases verify, and they stay so after a power cut.
func TestCopyWhereLinksAreRefused(t *testing.T) {
	linked := rot.NewCrashable()
	publishTwice(t, disktest.Mem(linked))
	want := filesIn(t, linked)
	if len(want) < 20 {
		t.Fatalf("only %d files are compared: %q", len(want), slices.Sorted(maps.Keys(want)))
	}
	for _, errno := range []syscall.Errno{syscall.EXDEV, syscall.EMLINK, syscall.EPERM, syscall.ENOTSUP, syscall.ENOSYS} {
		t.Run(errno.Error(), func(t *testing.T) {
			under := rot.NewCrashable()
			fsys := &linkless{FS: disktest.Mem(under), err: errno}
			publishTwice(t, fsys)
			if fsys.refused < 4 {
				t.Fatalf("only %d links were tried", fsys.refused)
			}
			for name, disk := range map[string]*rot.Crashable{
				"running": under, "after a power cut": under.CrashClone(vfs.CrashCloneCfg{}),
			} {
				got := filesIn(t, disk)
				for path := range want {
					if !bytes.Equal(got[path], want[path]) {
						t.Errorf("%s: %s has %d bytes, with links %d; they differ", name, path, len(got[path]), len(want[path]))
					}
				}
				if len(got) != len(want) {
					t.Errorf("%s: %d files, with links %d", name, len(got), len(want))
				}
				s := lake.Open("/lake", disktest.Mem(disk), nil).Tenant("acme")
				m, err := s.Current()
				if err != nil || m == nil || m.Release != 2 {
					t.Fatalf("%s: current is %v, %v", name, m, err)
				}
				if err := s.Verify(m, nil); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// TestLinkFailsForOtherReasons: only a refusal of links is answered by a copy.
func TestLinkFailsForOtherReasons(t *testing.T) {
	fsys := &linkless{FS: disktest.Mem(rot.NewCrashable()), err: syscall.EIO}
	s := lake.Open("/lake", fsys, nil).Tenant("acme")
	unlock, err := s.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unlock() }()
	b, err := s.Begin(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(&lake.Manifest{AsOf: copyNow}); err == nil || !strings.Contains(err.Error(), syscall.EIO.Error()) {
		t.Errorf("publishing says %v, want %v", err, syscall.EIO)
	}
}

var copyNow = time.Date(2025, 1, 9, 3, 0, 0, 0, time.UTC)

// publishTwice publishes two days as release 1, and as release 2 one of them again and the other as it was.
func publishTwice(t *testing.T, fsys disk.FS) {
	t.Helper()
	s := lake.Open("/lake", fsys, nil).Tenant("acme")
	unlock, err := s.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unlock(); err != nil {
			t.Error(err)
		}
	}()
	first, second := billing.DayOf(copyNow)-2, billing.DayOf(copyNow)-1
	b, err := s.Begin(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	writeOneAccount(t, b, first, 1)
	writeOneAccount(t, b, second, 2)
	m := &lake.Manifest{AsOf: copyNow}
	if err := b.Publish(m); err != nil {
		t.Fatal(err)
	}
	if b, err = s.Begin(2, m); err != nil {
		t.Fatal(err)
	}
	kept := 0
	for _, f := range m.Files {
		if f.Day != nil && *f.Day == second {
			continue
		}
		kept++
		if err := b.Link(f); err != nil {
			t.Fatal(err)
		}
	}
	if kept < 3 {
		t.Fatalf("release 2 keeps only %d files", kept)
	}
	writeOneAccount(t, b, second, 3)
	if err := b.Publish(&lake.Manifest{AsOf: copyNow, Previous: 1}); err != nil {
		t.Fatal(err)
	}
}

// writeOneAccount writes a day with one event, which costs usd.
func writeOneAccount(t *testing.T, b *lake.Build, d billing.Day, usd int64) {
	t.Helper()
	cost, _, err := billing.ParseMoney(string(rune('0' + usd)))
	if err != nil {
		t.Fatal(err)
	}
	event := lake.EventRow{Topic: "billing", Event: billing.Event{
		Tenant: "acme", ID: "e1", Account: "0001", Service: "Compute", Day: d, Cost: cost,
	}}
	if _, err := b.WriteEvents(d, 0, lake.Segment{Rows: func(yield func(*lake.EventRow, error) bool) { yield(&event, nil) }}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.WriteServiceDays(d, []lake.ServiceDayRow{{Tenant: "acme", Account: "0001", Service: "Compute", Total: cost, Events: 1}}); err != nil {
		t.Fatal(err)
	}
	row := lake.AccountDayRow{Tenant: "acme", Account: "0001", Total: cost, PublishedAt: copyNow, Revision: 1, Events: 1}
	if _, err := b.WriteAccountDays(d, []lake.AccountDayRow{row}); err != nil {
		t.Fatal(err)
	}
}

// filesIn are all files of the lake, by path.
func filesIn(t *testing.T, disk vfs.FS) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	var walk func(dir string)
	walk = func(dir string) {
		names, err := disk.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			path := disk.PathJoin(dir, name)
			info, err := disk.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if info.IsDir() {
				walk(path)
				continue
			}
			f, err := disk.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(f)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			files[path] = data
		}
	}
	walk("/lake")
	return files
}
