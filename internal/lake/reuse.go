package lake

import (
	"bytes"
	"fmt"

	"github.com/parquet-go/parquet-go"

	"daybook/internal/billing"
)

// ReleasedEvents is a released file of events, its hash checked, in memory. A new file takes over its row
// groups as bytes where they did not change.
type ReleasedEvents struct {
	data  []byte
	file  *parquet.File
	notes []groupNote
}

// OpenEvents reads a file of events whose row groups may be taken over.
func (s *Series) OpenEvents(m *Manifest, f File) (*ReleasedEvents, error) {
	name, err := s.filePath(m.Release, f)
	if err != nil {
		return nil, err
	}
	r := new(ReleasedEvents)
	if r.data, err = readHashed(s.fs, name, f); err != nil {
		return nil, fmt.Errorf("read %s of release %d: %w", f.Path, m.Release, err)
	}
	err = guarded(func() (err error) {
		if r.file, err = parquet.OpenFile(bytes.NewReader(r.data), f.Bytes, parquet.SkipBloomFilters(true)); err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		r.notes, err = notesOf(r.file)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read %s of release %d: %w", f.Path, m.Release, err)
	}
	return r, nil
}

// ReusedRowGroups are consecutive row groups of a released file.
type ReusedRowGroups struct {
	from     *ReleasedEvents
	at, upTo int
	cut      Cut
}

// Groups finds the row groups that hold a cut's accounts and as many rows, cut as they would be today.
func (r *ReleasedEvents) Groups(c Cut) (*ReusedRowGroups, bool) {
	left := c.Rows
	k := &ReusedRowGroups{from: r, at: -1, cut: c}
	for i := range r.notes {
		n := &r.notes[i]
		if k.at < 0 && n.First != c.First || n.Last > c.Last {
			continue
		}
		if k.at < 0 {
			k.at = i
		}
		if n.Rows != min(left, rowGroupRows) {
			return nil, false
		}
		left -= n.Rows
		k.upTo = i + 1
		if left == 0 {
			return k, n.Last == c.Last
		}
	}
	return nil, false
}

// Sum is what the groups' events come to; ok is false where that leaves DECIMAL(38,18).
func (k *ReusedRowGroups) Sum() (sum billing.Money, ok bool) {
	ok = true
	for i := k.at; i < k.upTo && ok; i++ {
		sum, ok = sum.Add(k.from.notes[i].Sum)
	}
	return sum, ok
}

// bytes are those of a row group, and how many rows it has.
func (r *ReleasedEvents) bytes(group int) ([]byte, error) {
	g := &r.file.Metadata().RowGroups[group]
	from, upTo := g.FileOffset, g.FileOffset+g.TotalCompressedSize
	if from < 0 || upTo < from || upTo > int64(len(r.data)) {
		return nil, fmt.Errorf("%w: row group %d lies at bytes %d to %d of %d", ErrDamaged, group, from, upTo, len(r.data))
	}
	return r.data[from:upTo], nil
}
