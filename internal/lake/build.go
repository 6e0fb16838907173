package lake

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"daybook/internal/billing"
	"daybook/internal/disk"
)

// syncers is how many files or directories are synced at a time. A journalling file system commits them together.
const syncers = 16

// Build is a release that is being written. Methods that write different files may run concurrently; all others
// belong to one goroutine. Publish or Abort ends it.
type Build struct {
	series *Series
	n      int
	prev   *Manifest      // nil: this is the first release
	dir    string         // tmp/NNNNNN
	syncs  errgroup.Group // of written files; Publish and Abort wait for them

	mu struct {
		sync.Mutex
		dirs    map[string]bool                // that exist, by path in the release
		files   map[string]File                // in the release so far, by path
		written map[string][]bool              // of the files that this build wrote: which row groups were reused
		days    map[billing.Day][]accountTotal // totals of the account-days that this build wrote
	}
}

// Begin starts to build release n in tmp/. prev is the release before; nil for the first. It needs the lock. ErrTaken.
func (s *Series) Begin(n int, prev *Manifest) (*Build, error) {
	if n < 1 || prev != nil && prev.Release >= n {
		return nil, fmt.Errorf("begin release %d: its number must be greater than that of the release before", n)
	}
	taken, err := disk.Exists(s.fs, s.Dir(n))
	if err != nil {
		return nil, fmt.Errorf("begin release %d: %w", n, err)
	}
	if taken {
		return nil, fmt.Errorf("begin release %d of tenant %s: %w", n, s.tenant, ErrTaken)
	}
	b := &Build{series: s, n: n, prev: prev, dir: s.path(tmpDir, number(n))}
	b.syncs.SetLimit(syncers)
	b.mu.dirs = map[string]bool{}
	b.mu.files = map[string]File{}
	b.mu.written = map[string][]bool{}
	b.mu.days = map[billing.Day][]accountTotal{}
	if err := s.fs.RemoveAll(b.dir); err != nil {
		return nil, fmt.Errorf("begin release %d: %w", n, err)
	}
	if err := s.fs.MkdirAll(b.dir, dirMode); err != nil {
		return nil, fmt.Errorf("begin release %d: %w", n, err)
	}
	return b, nil
}

// Files returns the files of the release so far, sorted by path. Publish puts them into the manifest.
func (b *Build) Files() []File {
	b.mu.Lock()
	defer b.mu.Unlock()
	files := make([]File, 0, len(b.mu.files))
	for _, f := range b.mu.files {
		files = append(files, f)
	}
	slices.SortFunc(files, func(x, y File) int { return cmp.Compare(x.Path, y.Path) })
	return files
}

// Link keeps a file of the previous release, as LinkFrom does.
func (b *Build) Link(f File) error {
	if b.prev == nil {
		return fmt.Errorf("link %s: there is no previous release", f.Path)
	}
	return b.LinkFrom(b.prev.Release, f)
}

// LinkFrom keeps a file of release n as a hard link, or as a copy where the file system refuses links. A copy's hash is
// checked; of a link only the size is. ErrDamaged.
func (b *Build) LinkFrom(n int, f File) error {
	from, err := b.series.filePath(n, f)
	if err != nil {
		return err
	}
	to, err := b.claim(f.Path)
	if err != nil {
		return err
	}
	info, err := b.series.fs.Stat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("link %s of release %d: %w: the file does not exist", f.Path, n, ErrDamaged)
	}
	if err != nil {
		return fmt.Errorf("link %s of release %d: %w", f.Path, n, err)
	}
	if info.Size() != f.Bytes {
		return fmt.Errorf("link %s of release %d: %w: %d bytes instead of %d", f.Path, n, ErrDamaged, info.Size(), f.Bytes)
	}
	err = b.series.fs.Link(from, to)
	if linkRefused(err) {
		err = b.copyFile(from, to, f)
	}
	if err != nil {
		return fmt.Errorf("link %s of release %d: %w", f.Path, n, err)
	}
	b.record(f)
	return nil
}

// copyFile copies a file and checks its hash.
func (b *Build) copyFile(from, to string, f File) error {
	data, err := readHashed(b.series.fs, from, f)
	if err != nil {
		return err
	}
	out, err := b.series.fs.Create(to)
	if err != nil {
		return err
	}
	if _, err := out.Write(data); err != nil {
		return errors.Join(err, out.Close())
	}
	b.syncInBackground(out)
	return nil
}

// syncInBackground syncs and closes a file that is written.
func (b *Build) syncInBackground(file disk.File) {
	b.syncs.Go(func() error { return errors.Join(file.Sync(), file.Close()) })
}

// Publish writes the manifest, syncs everything, renames the build to its number, and switches current to it. It sets
// the manifest's Format, Tenant, Release and Files. Where a rename reports an error, what is on disk decides whether it
// happened. ErrTaken.
func (b *Build) Publish(m *Manifest) error {
	s := b.series
	err := b.fillEmpty(billing.DayOf(m.AsOf))
	if err := cmp.Or(err, b.syncs.Wait()); err != nil { // also after an error: no sync may outlast the build
		return fmt.Errorf("publish release %d: %w", b.n, err)
	}
	m.Format, m.Tenant, m.Release, m.Files = ManifestFormat, s.tenant, b.n, b.Files()
	data, err := m.encode()
	if err != nil {
		return fmt.Errorf("publish release %d: %w", b.n, err)
	}
	if err := b.syncDirs(); err != nil {
		return fmt.Errorf("publish release %d: sync: %w", b.n, err)
	}
	temporary, name := filepath.Join(b.dir, manifestName+".tmp"), filepath.Join(b.dir, manifestName)
	if err := disk.ReplaceFile(s.fs, temporary, name, data); err != nil {
		return fmt.Errorf("publish release %d: write manifest: %w", b.n, err)
	}
	if err := s.fs.RenameNew(b.dir, s.Dir(b.n)); err != nil {
		// The rename may have happened: the manifest on disk decides.
		onDisk, readErr := disk.ReadFile(s.fs, filepath.Join(s.Dir(b.n), manifestName))
		ours := readErr == nil && bytes.Equal(onDisk, data)
		switch {
		case ours:
		case errors.Is(err, fs.ErrExist):
			return fmt.Errorf("publish release %d of tenant %s: %w", b.n, s.tenant, ErrTaken)
		default:
			return fmt.Errorf("publish release %d: %w", b.n, err)
		}
	}
	return s.switchTo(b.n)
}

// Abort removes the build.
func (b *Build) Abort() error {
	_ = b.syncs.Wait() // what could not be synced is removed anyway
	if err := b.series.fs.RemoveAll(b.dir); err != nil {
		return fmt.Errorf("abort release %d: %w", b.n, err)
	}
	return nil
}

// fillEmpty writes a file without rows for each dataset that has no file. Engines refuse to read a pattern that no
// file matches.
func (b *Build) fillEmpty(d billing.Day) error {
	has := map[Dataset]bool{}
	for _, f := range b.Files() {
		has[f.Dataset] = true
	}
	for _, ds := range Datasets() {
		if has[ds] {
			continue
		}
		var err error
		switch ds {
		case Events:
			_, err = b.WriteEvents(d, 0)
		case ServiceDays:
			_, err = b.WriteServiceDays(d, nil)
		case AccountDays:
			_, err = b.WriteAccountDays(d, nil)
		case Changes:
			_, err = b.WriteChanges(nil)
		default:
			_, err = b.WriteDimension(ds, nil, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// claim reserves a file name in the release, creates its directories, and returns its full path. A second claim of
// the same name is an error.
func (b *Build) claim(name string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.mu.files[name]; ok {
		return "", fmt.Errorf("%s is already in release %d", name, b.n)
	}
	b.mu.files[name] = File{Path: name}
	if dir := path.Dir(name); !b.mu.dirs[dir] {
		if err := b.series.fs.MkdirAll(filepath.Join(b.dir, dir), dirMode); err != nil {
			return "", fmt.Errorf("make directory: %w", err)
		}
		for ; dir != "."; dir = path.Dir(dir) {
			b.mu.dirs[dir] = true
		}
	}
	return filepath.Join(b.dir, name), nil
}

// drop removes a file of the build, complete or not.
func (b *Build) drop(name string) error {
	b.mu.Lock()
	delete(b.mu.files, name)
	delete(b.mu.written, name)
	b.mu.Unlock()
	if err := b.series.fs.Remove(filepath.Join(b.dir, name)); err != nil {
		return fmt.Errorf("drop %s: %w", name, err)
	}
	return nil
}

// record adds a complete file to the release.
func (b *Build) record(f File) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.files[f.Path] = f
}

// syncDirs makes all directory entries of the build durable, from the deepest directory up.
func (b *Build) syncDirs() error {
	dirs := make([]string, 0, len(b.mu.dirs)+1)
	for dir := range b.mu.dirs {
		dirs = append(dirs, dir)
	}
	slices.SortFunc(dirs, func(x, y string) int {
		return cmp.Or(cmp.Compare(strings.Count(y, "/"), strings.Count(x, "/")), cmp.Compare(x, y))
	})
	var group errgroup.Group
	group.SetLimit(syncers)
	for _, dir := range dirs {
		group.Go(func() error { return b.series.fs.SyncDir(filepath.Join(b.dir, dir)) })
	}
	return group.Wait()
}
