package lake_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/billing"
	"daybook/internal/lake"
	"daybook/internal/test/disktest"
)

// sealed adds the member "sha256" to the text of a manifest, as docs/format-release.md describes it.
func sealed(text []byte) []byte {
	body := bytes.TrimSuffix(text, []byte("\n}\n"))
	return fmt.Appendf(bytes.Clone(body), ",\n \"sha256\": \"%x\"\n}\n", sha256.Sum256(body))
}

// unsealed removes it.
func unsealed(text []byte) []byte {
	body, _, _ := bytes.Cut(text, []byte(",\n \"sha256\""))
	return append(bytes.Clone(body), "\n}\n"...)
}

// FuzzManifest reads any text as a manifest, with its hash and without. It is read or refused by name, and what is read
// can be used without a panic: no path leads out of the release.
func FuzzManifest(f *testing.F) {
	golden, err := os.ReadFile(filepath.Join("testdata", "manifest.golden"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(unsealed(golden))
	f.Add([]byte("{}"))
	f.Add([]byte("{\n \"format\": 1,\n \"tenant_id\": \"acme\",\n \"release\": 2\n}\n"))
	f.Add([]byte("{\n \"format\": 2\n}\n"))
	f.Add([]byte("{\n \"format\": 1,\n \"days\": [{\"usage_date\": \"2025-02-30\"}]\n}\n"))
	f.Add(bytes.Replace(unsealed(golden), []byte(`"path": "`), []byte(`"path": "../`), 1))
	if s, text := manifestLake(f, golden); !readable(f, s, text) {
		f.Fatal("the golden manifest is refused")
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, text := range [][]byte{text, sealed(text)} {
			s, text := manifestLake(t, text)
			readable(t, s, text)
		}
	})
}

// manifestLake is a lake with the text as the manifest of release 2.
func manifestLake(t testing.TB, text []byte) (*lake.Series, []byte) {
	t.Helper()
	disk := vfs.NewMem()
	if err := disk.MkdirAll("/lake/acme/manifests", 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := disk.Create("/lake/acme/manifests/000002.json", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(bytes.Clone(text)); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return lake.Open("/lake", disktest.Mem(disk), nil).Tenant("acme"), text
}

// readable reads the manifest and uses it. It reports whether it was read.
func readable(t testing.TB, s *lake.Series, text []byte) bool {
	t.Helper()
	m, err := s.Manifest(2)
	if err != nil {
		if !errors.Is(err, lake.ErrDamaged) && !errors.Is(err, lake.ErrFormat) {
			t.Fatalf("an error without a name: %v", err)
		}
		return false
	}
	if m.Format != lake.ManifestFormat || m.Release != 2 || m.Tenant != "acme" {
		t.Fatalf("release %d of %s, format %d, was read from %q", m.Release, m.Tenant, m.Format, text)
	}
	if err := s.Verify(m, nil); len(m.Files) > 0 && !errors.Is(err, lake.ErrDamaged) {
		t.Fatalf("files that do not exist verify: %v", err)
	}
	for i := range m.Days {
		_ = m.EventFiles(m.Days[i].Day)
		if _, err := s.ReadAccountDays(m, m.Days[i].Day); err != nil && !errors.Is(err, lake.ErrDamaged) {
			t.Fatal(err)
		}
	}
	for _, f := range m.Files {
		for _, err := range s.ReadEvents(m, f) {
			if !errors.Is(err, lake.ErrDamaged) {
				t.Fatalf("events of %q: %v", f.Path, err)
			}
		}
		if f.Day != nil {
			if d, err := billing.ParseDay(f.Day.String()); err != nil || d != *f.Day {
				t.Fatalf("day %v", f.Day)
			}
		}
	}
	return true
}
