package lake

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// Retention says which releases Prune leaves.
type Retention struct {
	Keep  int           // the newest so many
	Age   time.Duration // and all younger; by as-of
	Grace time.Duration // a pruned release is renamed away, and removed this much later
}

// Prune removes what retention does not keep and reports the releases renamed away. It never takes
// the current release, one that is newer, or one that is kept by label. Needs the lock.
func (s *Series) Prune(r Retention, dryRun bool) ([]int, error) {
	current, _, err := s.Resolve()
	if errors.Is(err, ErrNoRelease) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	labels, err := s.labels()
	if err != nil {
		return nil, err
	}
	numbers, err := s.present()
	if err != nil {
		return nil, err
	}
	now := s.now()
	var pruned []int
	for i, n := range numbers {
		newest := len(numbers)-i <= r.Keep
		if _, kept := labels[n]; kept || newest || n >= current {
			continue
		}
		m, err := s.Manifest(n)
		if err != nil {
			return pruned, err
		}
		if now.Sub(m.AsOf) < r.Age {
			continue
		}
		if !dryRun {
			if err := s.renameAway(n, now); err != nil {
				return pruned, fmt.Errorf("prune release %d: %w", n, err)
			}
		}
		pruned = append(pruned, n)
	}
	if dryRun {
		return pruned, nil
	}
	return pruned, s.removePruned(now.Add(-r.Grace))
}

// renameAway takes release n out of the readers' sight; its manifest stays.
func (s *Series) renameAway(n int, now time.Time) error {
	if err := s.keepManifest(n); err != nil {
		return err
	}
	if err := s.fs.MkdirAll(s.path(prunedDir), 0o755); err != nil {
		return err
	}
	to := s.path(prunedDir, number(n)+"."+strconv.FormatInt(now.Unix(), 10))
	if err := s.fs.RenameNew(s.Dir(n), to); err != nil {
		return err
	}
	return errors.Join(syncDir(s.fs, s.path(prunedDir)), syncDir(s.fs, s.path(releasesDir)))
}

// removePruned removes what was renamed away at or before a time.
func (s *Series) removePruned(before time.Time) error {
	names, err := s.fs.List(s.path(prunedDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list pruned: %w", err)
	}
	for _, name := range names {
		_, at, ok := strings.Cut(name, ".")
		seconds, err := strconv.ParseInt(at, 10, 64)
		if !ok || err != nil || seconds > before.Unix() {
			continue
		}
		if err := s.fs.RemoveAll(s.path(prunedDir, name)); err != nil {
			return fmt.Errorf("remove pruned release: %w", err)
		}
	}
	return nil
}
