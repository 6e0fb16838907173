package lake

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"daybook/internal/billing"
)

// Series is one tenant's releases. Reading methods may be used by anyone at any time; writing ones
// need the lock.
type Series struct {
	fs     FS
	now    func() time.Time
	root   string // the lake's directory
	tenant billing.TenantID
	dir    string // the tenant's
}

// Lock makes the tenant's directory if need be and locks it against other publishers; ErrLocked.
func (s *Series) Lock() (unlock func() error, err error) {
	if !validTenant(string(s.tenant)) {
		return nil, fmt.Errorf("lock lake: %q cannot be a tenant", s.tenant)
	}
	for _, name := range []string{releasesDir, manifestsDir, tmpDir} {
		if err := s.fs.MkdirAll(s.path(name), dirMode); err != nil {
			return nil, fmt.Errorf("make lake directory: %w", err)
		}
	}
	closer, err := s.fs.Lock(s.path(lockName))
	if errors.Is(err, syscall.EAGAIN) {
		return nil, fmt.Errorf("tenant %s: %w by another publisher", s.tenant, ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("lock lake: %w", err)
	}
	for _, dir := range []string{s.dir, s.root, s.fs.PathDir(s.root)} {
		if err := syncDir(s.fs, dir); err != nil {
			return nil, errors.Join(fmt.Errorf("sync lake directory: %w", err), closer.Close())
		}
	}
	return closer.Close, nil
}

// Dir is the absolute directory of release n, whether or not it exists.
func (s *Series) Dir(n int) string { return s.path(releasesDir, number(n)) }

// Resolve is what `current` names now: its number and absolute directory. ErrNoRelease.
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

// Current is the newest release's manifest; nil when there is none.
func (s *Series) Current() (*Manifest, error) {
	n, dir, err := s.Resolve()
	if errors.Is(err, ErrNoRelease) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m, err := s.readManifest(s.fs.PathJoin(dir, manifestName), n)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: current names release %d, which has no manifest", ErrDamaged, n)
	}
	return m, err
}

// Manifest is release n's manifest (also of pruned ones); ErrNoRelease.
func (s *Series) Manifest(n int) (*Manifest, error) {
	m, err := s.readManifest(s.fs.PathJoin(s.Dir(n), manifestName), n)
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

// Entry is one line of List.
type Entry struct {
	Release int
	Pruned  bool // gone, or in its grace period
	Current bool
	Label   string
	Own     int64 // bytes that this release alone holds
	Bytes   int64 // of all its files
}

// List is every release ever made, oldest first. Of one that is gone the sizes are 0.
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
		if n > current { // begun, never current
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

// holdings reads the manifests of releases that are there, and counts how many of them hold each
// file. A file is named after the release that wrote it, so its path in the release says whether
// two releases share it.
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

// present are the numbers under releases/, ascending.
func (s *Series) present() ([]int, error) { return s.numbers(releasesDir, "") }

// numbers are the release numbers that name entries of a directory, ascending.
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

func (s *Series) path(elements ...string) string {
	return s.fs.PathJoin(append([]string{s.dir}, elements...)...)
}

// filePath is where a file of release n lies.
func (s *Series) filePath(n int, f File) (string, error) {
	// A manifest is read from disk: its paths must not lead out of the release.
	if f.Path == "" || path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || strings.HasPrefix(f.Path, "..") {
		return "", fmt.Errorf("%w: the manifest of release %d names the path %q", ErrDamaged, n, f.Path)
	}
	return s.fs.PathJoin(s.Dir(n), f.Path), nil
}
