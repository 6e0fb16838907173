package lake

import (
	"fmt"
	"slices"
)

// Find is the manifest of release n, or of the newest release for 0. The files of the release may be pruned; see
// Unpruned. ErrNoRelease.
func (s *Series) Find(n int) (*Manifest, error) {
	if n != 0 {
		return s.Manifest(n)
	}
	m, err := s.Current()
	if err == nil && m == nil {
		err = fmt.Errorf("tenant %s: %w", s.tenant, ErrNoRelease)
	}
	return m, err
}

// Unpruned returns ErrNoRelease if release n is pruned: its files are removed, or will be when its grace period ends.
func (s *Series) Unpruned(n int) error {
	entries, err := s.List()
	if err != nil {
		return fmt.Errorf("list releases: %w", err)
	}
	if slices.ContainsFunc(entries, func(e Entry) bool { return e.Release == n && e.Pruned }) {
		return fmt.Errorf("release %d of tenant %s: %w: it is pruned", n, s.tenant, ErrNoRelease)
	}
	return nil
}
