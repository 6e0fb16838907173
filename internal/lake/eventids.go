package lake

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/zeebo/xxh3"

	"daybook/internal/billing"
	"daybook/internal/parquet"
)

const (
	// maxHashes bounds the memory of RepeatedEvents: 16 Mi hashes of 8 bytes are 128 MiB.
	maxHashes = 16 << 20
	// maxRepeated is how many ids RepeatedEvents names.
	maxRepeated = 1000
)

// RepeatedEvent is an event id that is in several account-days of a release.
type RepeatedEvent struct {
	ID    billing.EventID
	Where []billing.AccountDay // ascending by day and account
}

// String names the event and its account-days.
func (r RepeatedEvent) String() string {
	s := fmt.Sprintf("event %q is in %d account-days", r.ID, len(r.Where))
	for i, a := range r.Where {
		separator := ", "
		if i == 0 {
			separator = ": "
		}
		s += fmt.Sprintf("%saccount %q on %s", separator, a.Account, a.Day)
	}
	return s
}

// RepeatedEvents finds the event ids that are in several account-days of a release, over all its days; within one
// file a repeated key is Verify's to find. It names the first 1000, ascending by id. The ids are read from the files,
// whose hashes it does not check.
//
// Memory is bounded: each reading of all ids keeps the 64-bit hashes of up to 16 million of them, sorts these, and
// looks for equal neighbours. A release of more events takes several readings. Ids whose hashes are equal are then read
// again and compared as text.
func (s *Series) RepeatedEvents(m *Manifest) ([]RepeatedEvent, error) {
	return s.repeatedEvents(m, maxHashes)
}

// repeatedEvents is RepeatedEvents with another bound on the hashes of one pass.
func (s *Series) repeatedEvents(m *Manifest, limit int64) ([]RepeatedEvent, error) {
	var rows int64
	for _, f := range m.filesOf(Events) {
		rows += f.Rows
	}
	passes := uint64(rows/limit + 1)
	suspects := map[uint64]bool{}
	hashes := make([]uint64, 0, min(rows, limit+limit/8))
	for pass := range passes {
		hashes = hashes[:0]
		for e, err := range s.eventIDs(m) {
			if err != nil {
				return nil, err
			}
			if h := xxh3.Hash(e.id); h%passes == pass {
				hashes = append(hashes, h)
			}
		}
		slices.Sort(hashes)
		for i := 1; i < len(hashes) && len(suspects) < maxRepeated; i++ {
			if hashes[i] == hashes[i-1] {
				suspects[hashes[i]] = true
			}
		}
	}
	if len(suspects) == 0 {
		return nil, nil
	}
	where := map[billing.EventID][]billing.AccountDay{}
	for e, err := range s.eventIDs(m) {
		if err != nil {
			return nil, err
		}
		if suspects[xxh3.Hash(e.id)] {
			id := billing.EventID(e.id)
			where[id] = append(where[id], billing.AccountDay{Tenant: s.tenant, Account: billing.AccountID(e.account), Day: e.day})
		}
	}
	var repeated []RepeatedEvent
	for id, places := range where {
		if len(places) > 1 {
			slices.SortFunc(places, func(a, b billing.AccountDay) int {
				return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Account, b.Account))
			})
			repeated = append(repeated, RepeatedEvent{id, places})
		}
	}
	slices.SortFunc(repeated, func(a, b RepeatedEvent) int { return cmp.Compare(a.ID, b.ID) })
	return repeated, nil
}

// releasedID is an event's id and its account-day. The bytes are valid until the next.
type releasedID struct {
	id, account []byte
	day         billing.Day
}

// eventIDs are the ids of all events of a release.
func (s *Series) eventIDs(m *Manifest) iter.Seq2[releasedID, error] {
	return func(yield func(releasedID, error) bool) {
		for _, f := range m.filesOf(Events) {
			if f.Day == nil || f.Rows == 0 {
				continue // a file without rows only shows readers the columns
			}
			if more, err := s.eventIDsOf(m, f, yield); err != nil {
				yield(releasedID{}, fmt.Errorf("read event ids of %s of release %d: %w", f.Path, m.Release, err))
				return
			} else if !more {
				return
			}
		}
	}
}

// eventIDsOf are those of one file; more is false when the consumer has had enough.
func (s *Series) eventIDsOf(m *Manifest, f File, yield func(releasedID, error) bool) (more bool, err error) {
	name, err := s.filePath(m.Release, f)
	if err != nil {
		return false, err
	}
	file, err := openVerified(s.fs, name, f)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	opened, err := parquet.Open(file, f.Bytes)
	if err != nil {
		return false, damaged(err)
	}
	for batch, err := range decodeColumns(opened, f, eventSchema, 1, 2) {
		if err != nil {
			return false, err
		}
		for i := range batch.Rows {
			if !yield(releasedID{batch.Bytes(1, i), batch.Bytes(2, i), *f.Day}, nil) {
				return false, nil
			}
		}
	}
	return true, nil
}
