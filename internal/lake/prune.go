package lake

import (
	"errors"
	"fmt"
	"maps"
	"time"
)

// Retention says which releases Prune leaves.
type Retention struct {
	Keep  int           // the newest so many
	Age   time.Duration // and all younger; by as-of
	Grace time.Duration // how long a pruned release stays where it is
}

// Pruned is what Prune did.
type Pruned struct {
	Releases []int // pruned by this call
	Removed  []int // pruned by this or an earlier call, and their grace period is over
}

// Prune prunes what retention does not keep. It never takes the current release, one that is newer,
// or one that is kept by label. Needs the lock.
//
// A pruned release stays where it is, whole, until its grace period is over, because readers that
// have resolved it open its files by path. Then it is renamed away, so that it goes in one step, and
// removed; its manifest stays. A release that is kept again during its grace period is pruned no longer.
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

// unkept are the releases that retention does not keep, ascending.
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

// prunedAt says of the releases in their grace period when it began.
func (s *Series) prunedAt() (map[int]time.Time, error) {
	marks := map[int]time.Time{}
	_, err := s.readNote(prunedName, &marks)
	return marks, err
}

// remove takes releases out of the readers' sight, one step each, and removes them.
func (s *Series) remove(releases []int) error {
	// What an earlier call that was cut short left would be in the way.
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

// renameAway moves release n to pruned/; its manifest stays.
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
	return errors.Join(syncDir(s.fs, s.path(prunedDir)), syncDir(s.fs, s.path(releasesDir)))
}
