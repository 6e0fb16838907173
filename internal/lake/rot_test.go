package lake

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/disk"
	"daybook/internal/test/disktest"
	"daybook/internal/test/rot"
)

// TestRotIsNamedOrHarmless damages every sector of every file of a lake. A reader that verifies, one that does not, and
// the next publisher get the same numbers or an error that names the damage.
func TestRotIsNamedOrHarmless(t *testing.T) {
	under := vfs.NewMem()
	s := Open("/lake", disktest.Mem(under), nil).Tenant("acme")
	unlock, err := s.Lock()
	if err != nil {
		t.Fatal(err)
	}
	publishDays(t, s, "7", "2025-01-01", "2025-01-02")
	older, err := rot.Files(under, "/lake/acme")
	if err != nil {
		t.Fatal(err)
	}
	publishDays(t, s, "8", "2025-01-02")
	now, err := rot.Files(under, "/lake/acme")
	if err := errors.Join(err, unlock()); err != nil {
		t.Fatal(err)
	}
	want, err := figures(s)
	if err != nil {
		t.Fatal(err)
	}
	// A link has no sectors: it can be lost, or be an older one.
	link := "/lake/acme/" + currentLink
	target := now[link]
	delete(now, link)

	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	rounds, stride := 1, 3
	switch {
	case os.Getenv("DAYBOOK_SWEEP") == "full":
		rounds, stride = 20, 1
	case testing.Short():
		stride = 17
	}
	tried, refused := 0, 0
	try := func(what string, damaged map[string][]byte) {
		if chance.IntN(stride) > 0 {
			return
		}
		tried++
		disk, err := rot.Disk(damaged)
		if err != nil {
			t.Fatal(err)
		}
		no, err := useRotted(t, disktest.Mem(disk), want)
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if no {
			refused++
		}
	}
	for range rounds {
		rot.Each(now, older, chance, func(what string, damaged map[string][]byte) {
			damaged = maps.Clone(damaged)
			damaged[link] = target
			try(what, damaged)
		})
	}
	try("the link is lost", now)
	now[link] = older[link]
	try("the link is rolled back", now)
	t.Logf("%d damages, %d refused by name", tried, refused)
	if refused < tried/4 {
		t.Errorf("only %d damages were refused", refused)
	}
}

// useRotted recovers, verifies, reads and publishes on a damaged lake.
func useRotted(t *testing.T, fsys disk.FS, want string) (refused bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a panic: %v", p)
		}
	}()
	named := func(err error) error {
		if errors.Is(err, ErrDamaged) || errors.Is(err, ErrFormat) || errors.Is(err, ErrNoRelease) {
			return nil
		}
		return fmt.Errorf("refused without a name: %w", err)
	}
	s := Open("/lake", fsys, nil).Tenant("acme")
	unlock, err := s.Lock()
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if _, err := s.Recover(); err != nil {
		return true, named(err)
	}
	m, err := s.Current()
	if err != nil {
		return true, named(err)
	}
	verified := s.Verify(m, nil)
	if verified != nil {
		if err := named(verified); err != nil {
			return true, err
		}
	}
	// A reader that does not verify reads the same, or is refused.
	got, err := figures(s)
	switch {
	case err != nil:
		if err := named(err); err != nil {
			return true, err
		}
	case got != want && m.Release == 2:
		return false, fmt.Errorf("it says\n%s\nand should say\n%s", got, want)
	case got != want:
		return false, fmt.Errorf("current became release %d", m.Release)
	}
	if verified == nil && err != nil {
		return true, fmt.Errorf("verified, but not readable: %w", err)
	}
	if next, err := tryPublish(t, s, "9", "2025-01-02"); err != nil {
		return true, named(err)
	} else if err := s.Verify(next, nil); err != nil {
		return true, named(err)
	}
	return verified != nil, nil
}

// figures returns the manifest and all rows of the current release as text.
func figures(s *Series) (string, error) {
	m, err := s.Current()
	if err != nil {
		return "", err
	}
	if m == nil {
		return "", fmt.Errorf("%w: %w", ErrNoRelease, fs.ErrNotExist)
	}
	var b strings.Builder
	text, err := m.encode()
	if err != nil {
		return "", err
	}
	b.Write(text)
	for _, f := range m.Files {
		switch f.Dataset {
		case AccountDays:
			rows, err := s.ReadAccountDays(m, *f.Day)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "%s %+v\n", f.Path, rows)
		case ServiceDays:
			rows, err := s.ReadServiceDays(m, *f.Day)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "%s %+v\n", f.Path, rows)
		case Events:
			for row, err := range s.ReadEvents(m, f) {
				if err != nil {
					return "", err
				}
				fmt.Fprintf(&b, "%s %+v\n", f.Path, *row)
			}
		case Changes:
			rows, err := s.ReadChanges(m, f.WrittenBy)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "%s %+v\n", f.Path, rows)
		default:
			_, rows, err := s.ReadDimension(m, f.Dataset)
			if err != nil {
				return "", err
			}
			for _, r := range rows {
				fmt.Fprintf(&b, "%s %s\n", f.Path, r.Key)
			}
		}
	}
	return b.String(), nil
}

// TestManifestIsRefusedInAnyOtherText changes each byte of a manifest.
func TestManifestIsRefusedInAnyOtherText(t *testing.T) {
	l, _ := memLake()
	s := l.Tenant("acme")
	lock(t, s)
	publishDays(t, s, "7", "2025-01-01")
	name := filepath.Join(s.Dir(1), manifestName)
	text, err := disk.ReadFile(s.fs, name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range text {
		changed := bytes.Clone(text)
		changed[i] ^= 1
		if err := disk.ReplaceFile(s.fs, name+".tmp", name, changed); err != nil {
			t.Fatal(err)
		}
		if m, err := s.Manifest(1); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFormat) {
			t.Fatalf("byte %d is %q instead of %q: %v, %v", i, changed[i], text[i], m, err)
		}
	}
}
