package lake

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"daybook/internal/disk"
)

// Recovery is the outcome of Recover.
type Recovery struct {
	Finished int    // the release whose switch was completed; 0: none
	Aside    string // where a damaged release was moved; empty: there was none
}

// Recover completes the switch to a release that is newer than current, or sets that release aside, and empties tmp/.
// It needs the lock.
//
// A release reaches releases/ by a rename of a synced directory, so a newer one should be whole. In case the disk did
// not sync it, its hashes are verified.
func (s *Series) Recover() (Recovery, error) {
	var found Recovery
	current, _, err := s.Resolve()
	if err != nil && !errors.Is(err, ErrNoRelease) {
		return found, err
	}
	numbers, err := s.present()
	if err != nil {
		return found, err
	}
	for _, n := range numbers {
		if n <= current {
			continue
		}
		if fault := s.verifyRelease(n); fault != nil {
			if !errors.Is(fault, ErrDamaged) && !errors.Is(fault, fs.ErrNotExist) {
				return found, fmt.Errorf("verify release %d, which is newer than current: %w", n, fault)
			}
			if found.Aside, err = s.setAside(n); err != nil {
				return found, err
			}
			continue
		}
		if err := s.switchTo(n); err != nil {
			return found, err
		}
		found.Finished = n
	}
	// The last switch may not have been synced.
	if err := errors.Join(s.fs.SyncDir(s.path(releasesDir)), s.fs.SyncDir(s.dir)); err != nil {
		return found, fmt.Errorf("sync lake directory: %w", err)
	}
	return found, s.emptyDir(tmpDir)
}

// verifyRelease verifies a release that is in releases/.
func (s *Series) verifyRelease(n int) error {
	m, err := s.readManifest(filepath.Join(s.Dir(n), manifestName), n)
	if err != nil {
		return err
	}
	return s.Verify(m, nil)
}

// setAside moves a release that never was current to aside/, and returns its new directory.
func (s *Series) setAside(n int) (string, error) {
	if err := s.fs.MkdirAll(s.path(asideDir), dirMode); err != nil {
		return "", fmt.Errorf("make directory: %w", err)
	}
	for i := 0; ; i++ {
		to := s.path(asideDir, fmt.Sprintf("%s.%d", number(n), i))
		err := s.fs.RenameNew(s.Dir(n), to)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("set release %d aside: %w", n, err)
		}
		// Its number will be used again, so its manifest must go.
		if err := s.fs.Remove(s.path(manifestsDir, number(n)+keptSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("set release %d aside: %w", n, err)
		}
		for _, dir := range []string{asideDir, releasesDir, manifestsDir} {
			if err := s.fs.SyncDir(s.path(dir)); err != nil {
				return "", fmt.Errorf("set release %d aside: %w", n, err)
			}
		}
		return to, nil
	}
}

// switchTo makes release n, which is in releases/, current, and adds its manifest to manifests/.
func (s *Series) switchTo(n int) error {
	if err := s.fs.SyncDir(s.path(releasesDir)); err != nil {
		return fmt.Errorf("sync releases: %w", err)
	}
	if err := s.keepManifest(n); err != nil {
		return fmt.Errorf("keep manifest of release %d: %w", n, err)
	}
	target := releasesDir + "/" + number(n)
	temporary := s.path(tmpDir, "current."+number(n))
	if err := s.fs.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("switch to release %d: %w", n, err)
	}
	if err := s.fs.Symlink(target, temporary); err != nil {
		return fmt.Errorf("switch to release %d: %w", n, err)
	}
	if err := s.fs.Rename(temporary, s.path(currentLink)); err != nil {
		// The rename may have happened: the target of the link decides.
		if now, _, readErr := s.Resolve(); readErr != nil || now != n {
			return fmt.Errorf("switch to release %d: %w", n, err)
		}
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		return fmt.Errorf("release %d is current, but may not be durable; run again: %w", n, err)
	}
	return nil
}

// keepManifest links a release's manifest into manifests/, where pruning leaves it.
func (s *Series) keepManifest(n int) error {
	if err := s.fs.MkdirAll(s.path(manifestsDir), dirMode); err != nil {
		return err
	}
	from, to := filepath.Join(s.Dir(n), manifestName), s.path(manifestsDir, number(n)+keptSuffix)
	if err := s.fs.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := s.fs.Link(from, to)
	if linkRefused(err) {
		data, readErr := disk.ReadFile(s.fs, from)
		if readErr != nil {
			return readErr
		}
		err = disk.ReplaceFile(s.fs, s.path(tmpDir, "manifest."+number(n)), to, data)
	}
	if err != nil {
		return err
	}
	return s.fs.SyncDir(s.path(manifestsDir))
}

// emptyDir removes everything in a directory of the tenant, which need not exist.
func (s *Series) emptyDir(dir string) error {
	names, err := s.fs.List(s.path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("empty %s: %w", dir, err)
	}
	for _, name := range names {
		if err := s.fs.RemoveAll(s.path(dir, name)); err != nil {
			return fmt.Errorf("empty %s: %w", dir, err)
		}
	}
	return nil
}
