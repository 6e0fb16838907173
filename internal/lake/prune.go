package lake

import (
	"errors"
	"fmt"
	"maps"
	"time"
)

// Retention is which releases Prune keeps.
type Retention struct {
	Keep  int           // how many of the newest
	Age   time.Duration // and all that are younger, by as-of
	Grace time.Duration // how long a pruned release stays readable
}

// Pruned is the outcome of Prune.
type Pruned struct {
	Releases []int // marked as pruned by this call
	Removed  []int // removed: their grace period is over
}

// Prune marks the releases that retention does not keep as pruned, and removes those whose grace period is over. It
// never prunes the current release, a newer one, or one with a label. With dryRun it changes nothing. It needs the
// lock.
//
// A pruned release stays whole and in its place during its grace period, because readers that have resolved it open its
// files by path. Then a rename makes all of it disappear at once, and it is removed; its manifest stays. A release that
// gets a label during its grace period is no longer pruned.
func (s *Series) Prune(r Retention, dryRun bool) (Pruned, error) {
	var done Pruned
	candidates, err := s.unkept(r)
	if err != nil {
		return done, err
	}
	before, err := s.prunedAt()
	if err != nil {
		return done, err
	}
	now := s.now().UTC().Round(0)
	marks := map[int]time.Time{}
	for _, n := range candidates {
		at, marked := before[n]
		if !marked {
			at = now
			done.Releases = append(done.Releases, n)
		}
		if marks[n] = at; now.Sub(at) >= r.Grace {
			done.Removed = append(done.Removed, n)
		}
	}
	if dryRun {
		return done, nil
	}
	if !maps.Equal(marks, before) {
		if err := s.writeNote(prunedName, marks); err != nil {
			return Pruned{}, err
		}
	}
	return done, s.remove(done.Removed)
}

// unkept returns the releases that retention does not keep, in ascending order.
func (s *Series) unkept(r Retention) ([]int, error) {
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
	var unkept []int
	for i, n := range numbers {
		newest := len(numbers)-i <= r.Keep
		if _, kept := labels[n]; kept || newest || n >= current {
			continue
		}
		m, err := s.Manifest(n)
		if err != nil {
			return nil, err
		}
		if s.now().Sub(m.AsOf) >= r.Age {
			unkept = append(unkept, n)
		}
	}
	return unkept, nil
}

// prunedAt returns the releases in their grace period and when it began.
func (s *Series) prunedAt() (map[int]time.Time, error) {
	marks := map[int]time.Time{}
	_, err := s.readNote(prunedName, &marks)
	return marks, err
}

// remove removes releases, each by one rename.
func (s *Series) remove(releases []int) error {
	// An interrupted call may have left a release of the same number.
	if err := s.emptyDir(prunedDir); err != nil {
		return err
	}
	for _, n := range releases {
		if err := s.renameAway(n); err != nil {
			return fmt.Errorf("prune release %d: %w", n, err)
		}
	}
	return errors.Join(s.archiveManifests(), s.emptyDir(prunedDir))
}

// renameAway moves release n to pruned/. Its manifest stays in manifests/.
func (s *Series) renameAway(n int) error {
	if err := s.keepManifest(n); err != nil {
		return err
	}
	if err := s.fs.MkdirAll(s.path(prunedDir), dirMode); err != nil {
		return err
	}
	if err := s.fs.RenameNew(s.Dir(n), s.path(prunedDir, number(n))); err != nil {
		return err
	}
	return errors.Join(s.fs.SyncDir(s.path(prunedDir)), s.fs.SyncDir(s.path(releasesDir)))
}
