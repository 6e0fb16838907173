package state

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/zeebo/xxh3"

	"daybook/internal/state/format"
)

// filters are the Bloom filters that answer for the store. Writers use them under the apply lock, while a goroutine
// fills them with what the state held when it was opened.
type filters struct {
	events      *bloomFilter // by event key: the events that have a locator
	quarantined *bloomFilter // by prefix of the quarantine's index by event: the events that have a quarantined record

	ended   chan struct{} // closed when the filling goroutine has ended; nil: there is none
	savedAt Head          // of the saved filter, if events equals it; zero: it does not. Set before ended is closed.
}

// startFilters replaces the filters by empty ones and fills them in the background. What is written meanwhile is
// added by its writer. The filters of a brief store stay unfilled. The caller holds the apply lock, or is Open.
func (s *Store) startFilters() {
	if s.o.Brief {
		s.mu.filters = &filters{events: newBloomFilter(0), quarantined: newBloomFilter(0)}
		return
	}
	f := &filters{events: newBloomFilter(s.o.FilterBytes), quarantined: newBloomFilter(s.o.FilterBytes / 16), ended: make(chan struct{})}
	s.mu.filters = f
	snapshot, head, database := s.db.NewSnapshot(), s.mu.journal.Head, s.mu.identity.Database
	s.filling.Go(func() {
		defer close(f.ended)
		err := errors.Join(s.fillFilters(f, view{snapshot}, head, database), snapshot.Close())
		if err != nil && !errors.Is(err, errClosed) {
			s.o.Logger.Warn("failed to fill Bloom filter, every event is looked up", "err", err)
		}
	})
}

// fillFilters fills filters with the quarantine's index by event, and with the saved filter and the locators that
// are newer, or all locators. It ends early when the store is closed.
func (s *Store) fillFilters(f *filters, v view, head Head, database DatabaseID) error {
	const sourceBytes = 14 // of the place in the log that an index key ends in
	err := s.fillFrom(v, f.quarantined, []byte{format.SpaceByEvent}, func(key []byte) []byte { return key[:max(1, len(key)-sourceBytes)] })
	if err != nil {
		return err
	}
	from, current, err := s.loadFilter(f.events, v, head, database)
	switch {
	case errors.Is(err, errClosed):
		return err
	case err != nil && !errors.Is(err, errNoFilter):
		s.o.Logger.Warn("failed to read saved Bloom filter, all locators are read", "err", err)
	}
	if current {
		f.savedAt = head
		f.events.filled.Store(true)
		return nil
	}
	low := binary.BigEndian.AppendUint16([]byte{format.SpaceLocator}, uint16(from))
	return s.fillFrom(v, f.events, low, func(key []byte) []byte { return key[min(format.LocatorHeader, len(key)):] })
}

// fillFrom adds a part of each key from low to the end of its keyspace to a filter, which is filled then.
func (s *Store) fillFrom(v view, f *bloomFilter, low []byte, part func(key []byte) []byte) error {
	hashes := make([]xxh3.Uint128, 0, 4096)
	err := v.scan(low, []byte{low[0] + 1}, func(key, _ []byte) error {
		hashes = append(hashes, xxh3.Hash128(part(key)))
		if len(hashes) < cap(hashes) {
			return nil
		}
		f.addStored(hashes)
		hashes = hashes[:0]
		if s.closing.Load() {
			return errClosed
		}
		return nil
	})
	if err != nil {
		return err
	}
	f.addStored(hashes)
	f.filled.Store(true)
	return nil
}

// lookUpTime is about the time that looking an event up in one generation takes.
const lookUpTime = 2 * time.Microsecond

// awaitFilterLocked waits until the filter of events is filled, but no longer than looking up that many events
// would take.
func (s *Store) awaitFilterLocked(events int) {
	f := s.mu.filters
	if f.events.filled.Load() || f.ended == nil {
		return
	}
	limit := time.Duration(events) * time.Duration(s.mu.journal.Totals.Generation+1) * lookUpTime
	select {
	case <-f.ended:
	case <-time.After(limit):
	}
}
