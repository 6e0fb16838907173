package lake

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write golden files instead of comparing")

// TestFormat holds a release against a golden manifest, which has every file's SHA-256: a change to
// any byte of a file, also one that a new version of the Parquet library brings, is a change of
// format. Then files that are linked and files that are written anew no longer agree on what the
// same rows look like.
func TestFormat(t *testing.T) {
	l, _ := memLake()
	s := l.Tenant("acme")
	lock(t, s)
	publishDays(t, s, "7", "2025-01-01", "2025-01-02")
	publishDays(t, s, "8", "2025-01-02")
	got, err := readFile(s.fs, s.fs.PathJoin(s.Dir(2), manifestName))
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
		t.Errorf("the release is not that of format %d: if it is meant to be, run with -update and say so in docs/format-release.md\n%s", ManifestFormat, got)
	}
}
