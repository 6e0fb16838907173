package lake

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"daybook/internal/disk"
)

var update = flag.Bool("update", false, "write golden files instead of comparing")

// TestFormat compares a release with a golden manifest, which has every file's SHA-256. A change to any byte of a file
// is a change of format, even if a new version of the Parquet library makes it: a release that links older files would
// hold two forms of the same rows.
func TestFormat(t *testing.T) {
	l, _ := memLake()
	s := l.Tenant("acme")
	lock(t, s)
	publishDays(t, s, "7", "2025-01-01", "2025-01-02")
	publishDays(t, s, "8", "2025-01-02")
	got, err := disk.ReadFile(s.fs, filepath.Join(s.Dir(2), manifestName))
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "manifest.golden")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the release differs from format %d; if that is intended, run with -update and document it in docs/format-release.md\n%s", ManifestFormat, got)
	}
}
