package lake

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"daybook/internal/disk"
)

// Hold stops publishing for a tenant, as after a rollback.
type Hold struct {
	Since time.Time `json:"since"`
	Why   string    `json:"why"`
	Who   string    `json:"who"`
}

// Hold returns the hold in force; nil if there is none.
func (s *Series) Hold() (*Hold, error) {
	h := new(Hold)
	found, err := s.readNote(holdName, h)
	if !found {
		return nil, err
	}
	return h, err
}

// SetHold sets the hold or, with nil, lifts it. It needs the lock.
func (s *Series) SetHold(h *Hold) error {
	if h != nil {
		return s.writeNote(holdName, h)
	}
	if err := s.fs.Remove(s.path(holdName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("lift hold: %w", err)
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		return fmt.Errorf("lift hold: %w", err)
	}
	return nil
}

// Keep labels a release, so that it is never pruned. An empty label removes the label. It needs the lock. ErrNoRelease.
func (s *Series) Keep(n int, label string) error {
	labels, err := s.labels()
	if err != nil {
		return err
	}
	if label == "" {
		delete(labels, n)
		return s.writeNote(keptName, labels)
	}
	current, _, err := s.Resolve()
	if err != nil {
		return err
	}
	ok, err := disk.Exists(s.fs, filepath.Join(s.Dir(n), manifestName))
	if err != nil {
		return fmt.Errorf("keep release %d: %w", n, err)
	}
	if !ok || n > current {
		return fmt.Errorf("keep release %d of tenant %s: %w", n, s.tenant, ErrNoRelease)
	}
	labels[n] = label
	return s.writeNote(keptName, labels)
}

// labels returns the labels by release.
func (s *Series) labels() (map[int]string, error) {
	labels := map[int]string{}
	_, err := s.readNote(keptName, &labels)
	return labels, err
}

// readNote reads a JSON file of the tenant's directory; found is false if there is none.
func (s *Series) readNote(name string, into any) (found bool, err error) {
	data, err := disk.ReadFile(s.fs, s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", name, err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return false, fmt.Errorf("read %s of tenant %s: %w", name, s.tenant, err)
	}
	return true, nil
}

// writeNote replaces a JSON file of the tenant's directory.
func (s *Series) writeNote(name string, note any) error {
	data, err := json.MarshalIndent(note, "", " ")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := disk.ReplaceFile(s.fs, s.path(tmpDir, name), s.path(name), append(data, '\n')); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
