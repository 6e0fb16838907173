package lake

import (
	"bytes"
	"fmt"

	"daybook/internal/billing"
	"daybook/internal/parquet"
)

// ReleasedEvents is a released file of events in memory, after its hash was checked. A new file can copy those of its
// row groups in which nothing changed.
type ReleasedEvents struct {
	file  *parquet.File
	notes []groupNote
}

// OpenEvents reads a file of events whose row groups may be reused. ErrDamaged.
func (s *Series) OpenEvents(m *Manifest, f File) (*ReleasedEvents, error) {
	r, err := s.openEvents(m, f)
	if err != nil {
		return nil, fmt.Errorf("read %s of release %d: %w", f.Path, m.Release, err)
	}
	return r, nil
}

func (s *Series) openEvents(m *Manifest, f File) (*ReleasedEvents, error) {
	name, err := s.filePath(m.Release, f)
	if err != nil {
		return nil, err
	}
	data, err := readHashed(s.fs, name, f)
	if err != nil {
		return nil, err
	}
	file, err := parquet.OpenIndexed(bytes.NewReader(data), f.Bytes)
	if err == nil {
		err = file.CheckSchema(eventSchema)
	}
	if err != nil {
		return nil, damaged(err)
	}
	notes, err := readGroupNotes(file)
	if err != nil {
		return nil, err
	}
	return &ReleasedEvents{file: file, notes: notes}, nil
}

// ReusedRowGroups are consecutive row groups of a released file that a new file copies byte for byte.
type ReusedRowGroups struct {
	from       *ReleasedEvents
	first, end int // row groups, end excluded
	cut        Cut
}

// RowGroups finds the row groups that hold exactly a cut's accounts and as many rows as the cut, with the boundaries
// that writing the rows again would give. ok is false where there are none.
func (r *ReleasedEvents) RowGroups(c Cut) (found *ReusedRowGroups, ok bool) {
	left := c.Rows
	found = &ReusedRowGroups{from: r, first: -1, cut: c}
	for i := range r.notes {
		n := &r.notes[i]
		if found.first < 0 && n.First != c.First || n.Last > c.Last {
			continue
		}
		if found.first < 0 {
			found.first = i
		}
		if n.Rows != min(left, rowGroupRows) {
			return nil, false
		}
		left -= n.Rows
		found.end = i + 1
		if left == 0 {
			return found, n.Last == c.Last
		}
	}
	return nil, false
}

// Sum returns the total of the row groups' events; ok is false where it leaves DECIMAL(38,18).
func (r *ReusedRowGroups) Sum() (sum billing.Money, ok bool) {
	ok = true
	for i := r.first; i < r.end && ok; i++ {
		sum, ok = sum.Add(r.from.notes[i].Sum)
	}
	return sum, ok
}
