package delivery

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"daybook/internal/billing"
	"daybook/internal/disk"
)

// entryBytes is the memory of an entry without its key.
const entryBytes = 64

// Sorter sorts the entries of a load in bounded memory: it writes sorted runs to files and merges them at the end.
// Of several entries of one id it keeps the one with the greatest At, and of equal ones the last.
type Sorter struct {
	fs      disk.FS
	dir     string
	limit   int // bytes of entries in memory
	entries []Entry
	bytes   int
	runs    []string
	days    map[billing.Day]dayFacts
}

// dayFacts summarizes the entries of a load on one day.
type dayFacts struct {
	rows   int64
	newest billing.Instant
}

// Add adds one entry.
func (s *Sorter) Add(e Entry) error {
	if !e.Deleted {
		facts := s.days[e.Day]
		facts.rows++
		facts.newest = max(facts.newest, e.At)
		s.days[e.Day] = facts
	}
	s.entries = append(s.entries, e)
	if s.bytes += len(e.key) + entryBytes; s.bytes < s.limit {
		return nil
	}
	return s.spill()
}

// spill writes the entries in memory as a run.
func (s *Sorter) spill() error {
	name := filepath.Join(s.dir, fmt.Sprintf("run-%d%s", len(s.runs), idsSuffix))
	if err := s.write(name, false); err != nil {
		return fmt.Errorf("write a run of ids: %w", err)
	}
	s.runs = append(s.runs, name)
	return nil
}

// write sorts the entries in memory into a file and releases the memory.
func (s *Sorter) write(name string, durable bool) error {
	slices.SortStableFunc(s.entries, func(a, b Entry) int { return strings.Compare(a.key, b.key) })
	w, err := createIDs(s.fs, name)
	if err != nil {
		return err
	}
	for i := 0; i < len(s.entries); {
		best := &s.entries[i]
		for i++; i < len(s.entries) && s.entries[i].key == best.key; i++ {
			if s.entries[i].At >= best.At {
				best = &s.entries[i]
			}
		}
		if err := w.add(best); err != nil {
			w.abandon()
			return err
		}
	}
	clear(s.entries)
	s.entries, s.bytes = s.entries[:0], 0
	return w.close(durable)
}

// finish writes all entries into one sorted file.
func (s *Sorter) finish(name string) error {
	if len(s.runs) == 0 {
		return s.write(name, true)
	}
	if err := s.spill(); err != nil {
		return err
	}
	w, err := createIDs(s.fs, name)
	if err != nil {
		return err
	}
	for group, err := range merge(s.fs, s.runs) {
		if err == nil {
			best := newest(group)
			err = w.add(&best.Entry)
		}
		if err != nil {
			w.abandon()
			return err
		}
	}
	return errors.Join(w.close(true), s.drop())
}

// drop removes the runs.
func (s *Sorter) drop() error {
	var failed error
	for _, name := range s.runs {
		failed = errors.Join(failed, s.fs.Remove(name))
	}
	s.runs = nil
	return failed
}
