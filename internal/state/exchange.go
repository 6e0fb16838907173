package state

import (
	"errors"
	"fmt"
	"path/filepath"

	"daybook/internal/disk"
)

// Exchange puts the database that a rebuild made in the live one's place, in one step: after a crash one
// of the two is there, whole. The old one is then in RebuildDir, and is removed unless
// keepOld. Neither may be open.
func Exchange(dir string, keepOld bool) error {
	live, rebuilt := filepath.Join(dir, LiveDir), filepath.Join(dir, RebuildDir)
	o := Options{}.withDefaults()
	for _, sub := range [...]string{live, rebuilt} {
		lock, err := o.lock(sub)
		if err != nil {
			return fmt.Errorf("exchange: %w", err)
		}
		// The locks are on files that move along, so they may go first; whoever opens now opens a whole state.
		if err := lock.Close(); err != nil {
			return fmt.Errorf("exchange: %w", err)
		}
	}
	if err := disk.OS().Exchange(live, rebuilt); err != nil {
		return fmt.Errorf("exchange %s and %s: %w", live, rebuilt, err)
	}
	if err := disk.OS().SyncDir(dir); err != nil {
		return err
	}
	if keepOld {
		return nil
	}
	return errors.Join(disk.OS().RemoveAll(rebuilt), disk.OS().SyncDir(dir))
}
