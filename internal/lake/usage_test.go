package lake

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"daybook/internal/disk"
)

// onDisk returns the bytes of the Parquet files below a directory, each inode counted once, and of those with one name.
func onDisk(t *testing.T, dir string) (all, single int64) {
	t.Helper()
	var seen []os.FileInfo
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".parquet") {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		for _, other := range seen {
			if os.SameFile(info, other) {
				single -= info.Size() // its second name; no file here has three
				return nil
			}
		}
		seen = append(seen, info)
		all += info.Size()
		single += info.Size()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, single
}

func TestUsageIsWhatTheFilesTake(t *testing.T) {
	root := t.TempDir()
	s := Open(root, disk.OS(), func() time.Time { return testNow }).Tenant("acme")
	if u, err := s.Usage(); err != nil || u != (Usage{}) {
		t.Fatalf("a tenant without releases uses %+v, %v", u, err)
	}
	lock(t, s)
	publishDays(t, s, "1", "2025-01-03", "2025-01-04")
	first, err := s.Usage()
	if err != nil {
		t.Fatal(err)
	}
	if all, _ := onDisk(t, s.path(releasesDir)); first != (Usage{Releases: 1, Bytes: all, Newest: all}) {
		t.Errorf("one release of %d bytes uses %+v", all, first)
	}

	publishDays(t, s, "22222.5", "2025-01-04")
	second, err := s.Usage()
	if err != nil {
		t.Fatal(err)
	}
	all, single := onDisk(t, s.path(releasesDir))
	entries, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	if second.Releases != 2 || second.Bytes != all || second.Newest != entries[1].Own {
		t.Errorf("releases of %d bytes use %+v; the list says that the newest owns %d", all, second, entries[1].Own)
	}
	if own := entries[0].Own + entries[1].Own; own != single || own >= all {
		t.Errorf("the list says that the releases own %d bytes alone, on disk it is %d of %d", own, single, all)
	}
}
