package lake

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"daybook/internal/billing"
	"daybook/internal/disk"
)

// Series is the releases of one tenant. Reading methods may be called at any time by any process. Writing methods need
// the lock.
type Series struct {
	fs     disk.FS
	now    func() time.Time
	root   string // the lake's directory
	tenant billing.TenantID
	dir    string // the tenant's
}

// Lock locks the tenant's directory against other publishers, and creates it if it does not exist. ErrLocked.
func (s *Series) Lock() (unlock func() error, err error) {
	if !validTenant(string(s.tenant)) {
		return nil, fmt.Errorf("lock lake: %q is not a valid tenant id", s.tenant)
	}
	for _, name := range []string{releasesDir, manifestsDir, tmpDir} {
		if err := s.fs.MkdirAll(s.path(name), dirMode); err != nil {
			return nil, fmt.Errorf("make lake directory: %w", err)
		}
	}
	closer, err := s.fs.Lock(s.path(lockName))
	if errors.Is(err, disk.ErrLocked) {
		return nil, fmt.Errorf("tenant %s: %w by another publisher", s.tenant, ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("lock lake: %w", err)
	}
	for _, dir := range []string{s.dir, s.root, filepath.Dir(s.root)} {
		if err := s.fs.SyncDir(dir); err != nil {
			return nil, errors.Join(fmt.Errorf("sync lake directory: %w", err), closer.Close())
		}
	}
	return closer.Close, nil
}

// Dir returns the absolute directory of release n, whether or not it exists.
func (s *Series) Dir(n int) string { return s.path(releasesDir, number(n)) }

// Resolve returns the number and the absolute directory of the release that `current` names. ErrNoRelease.
func (s *Series) Resolve() (n int, dir string, err error) {
	target, err := s.fs.Readlink(s.path(currentLink))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, "", fmt.Errorf("tenant %s: %w", s.tenant, ErrNoRelease)
	}
	if err != nil {
		return 0, "", fmt.Errorf("resolve current: %w", err)
	}
	name, ok := strings.CutPrefix(target, releasesDir+"/")
	if n, ok2 := parseNumber(name); ok && ok2 {
		return n, s.Dir(n), nil
	}
	return 0, "", fmt.Errorf("resolve current: %w: the link names %q", ErrDamaged, target)
}

// Current returns the manifest of the newest release; nil if there is none.
func (s *Series) Current() (*Manifest, error) {
	n, dir, err := s.Resolve()
	if errors.Is(err, ErrNoRelease) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m, err := s.readManifest(filepath.Join(dir, manifestName), n)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: current names release %d, which has no manifest", ErrDamaged, n)
	}
	return m, err
}

// Manifest returns the manifest of release n, pruned or not. ErrNoRelease.
func (s *Series) Manifest(n int) (*Manifest, error) {
	m, err := s.readManifest(filepath.Join(s.Dir(n), manifestName), n)
	if errors.Is(err, fs.ErrNotExist) {
		m, err = s.readManifest(s.path(manifestsDir, number(n)+keptSuffix), n)
	}
	if errors.Is(err, fs.ErrNotExist) {
		m, err = s.readManifest(s.path(manifestsDir, number(n)+archivedSuffix), n)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("release %d of tenant %s: %w", n, s.tenant, ErrNoRelease)
	}
	return m, err
}

// Entry is a release in List.
type Entry struct {
	Release int
	Pruned  bool // removed, or in its grace period
	Current bool
	Label   string
	Own     int64 // bytes of files that no other release has
	Bytes   int64 // of all its files
}

// List returns every release ever published, oldest first. The sizes of a removed release are 0.
func (s *Series) List() ([]Entry, error) {
	current, _, err := s.Resolve()
	if errors.Is(err, ErrNoRelease) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	present, err := s.present()
	if err != nil {
		return nil, err
	}
	ever, err := s.numbers(manifestsDir, keptSuffix)
	if err != nil {
		return nil, err
	}
	archived, err := s.numbers(manifestsDir, archivedSuffix)
	if err != nil {
		return nil, err
	}
	labels, err := s.labels()
	if err != nil {
		return nil, err
	}
	pruned, err := s.prunedAt()
	if err != nil {
		return nil, err
	}
	manifests, holders, err := s.holdings(present)
	if err != nil {
		return nil, err
	}
	all := slices.Concat(present, ever, archived)
	slices.Sort(all)
	var entries []Entry
	for _, n := range slices.Compact(all) {
		if n > current { // its publication was interrupted
			continue
		}
		e := Entry{Release: n, Current: n == current, Label: labels[n], Pruned: manifests[n] == nil}
		if _, grace := pruned[n]; grace && e.Label == "" {
			e.Pruned = true
		}
		if m := manifests[n]; m != nil {
			for _, f := range m.Files {
				e.Bytes += f.Bytes
				if holders[f.Path] == 1 {
					e.Own += f.Bytes
				}
			}
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// holdings reads the manifests of releases on disk, and counts the releases that have each file. A file is named after
// the release that wrote it, so two releases share a file if they have the same path.
func (s *Series) holdings(present []int) (manifests map[int]*Manifest, holders map[string]int, err error) {
	manifests, holders = map[int]*Manifest{}, map[string]int{}
	for _, n := range present {
		m, err := s.Manifest(n)
		if err != nil {
			return nil, nil, err
		}
		manifests[n] = m
		for _, f := range m.Files {
			holders[f.Path]++
		}
	}
	return manifests, holders, nil
}

// present returns the numbers of the releases in releases/, in ascending order.
func (s *Series) present() ([]int, error) { return s.numbers(releasesDir, "") }

// numbers returns the release numbers before a suffix in the names of a directory's entries, in ascending order.
func (s *Series) numbers(dir, suffix string) ([]int, error) {
	names, err := s.fs.List(s.path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	var numbers []int
	for _, name := range names {
		stem, ok := strings.CutSuffix(name, suffix)
		if n, ok2 := parseNumber(stem); ok && ok2 {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// path returns a path in the tenant's directory.
func (s *Series) path(elements ...string) string {
	return filepath.Join(append([]string{s.dir}, elements...)...)
}

// filePath returns the path of a file of release n. ErrDamaged.
func (s *Series) filePath(n int, f File) (string, error) {
	// The path comes from a manifest on disk: it must not lead out of the release.
	if f.Path == "" || path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || strings.HasPrefix(f.Path, "..") {
		return "", fmt.Errorf("%w: the manifest of release %d names the path %q", ErrDamaged, n, f.Path)
	}
	return filepath.Join(s.Dir(n), f.Path), nil
}
