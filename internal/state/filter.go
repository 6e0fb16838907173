package state

import (
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zeebo/xxh3"

	"daybook/internal/state/format"
)

// filter says of most events that are new that they are, so that they need no
// look-up. It is a Bloom filter in blocks of one cache line. Until fill has
// seen all that was there at open, it answers "maybe". It never forgets: what
// was added by a write that then failed only costs a look-up.
type filter struct {
	mu     sync.Mutex // held to add until filled
	filled atomic.Bool
	used   bool // something was added
	blocks [][8]uint64
}

// filterProbes is how many bits one key sets, all in one block.
const filterProbes = 7

func newFilter(bytes int64) *filter {
	return &filter{blocks: make([][8]uint64, max(1, bytes/64))}
}

// add adds a key by its hash and reports whether it may have been there before.
func (f *filter) add(h xxh3.Uint128) (maybe bool) {
	if f.filled.Load() {
		return f.set(h)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.set(h)
	return true
}

// empty reports that no key is there, to whoever may add.
func (f *filter) empty() bool { return f.filled.Load() && !f.used }

// has reports whether a key may be there.
func (f *filter) has(h xxh3.Uint128) bool {
	if !f.filled.Load() {
		return true
	}
	block := &f.blocks[h.Hi%uint64(len(f.blocks))]
	for bits, n := h.Lo, 0; n < filterProbes; bits, n = bits>>9, n+1 {
		if block[bits>>6&7]&(1<<(bits&63)) == 0 {
			return false
		}
	}
	return true
}

// set sets a key's bits and reports whether all were set.
func (f *filter) set(h xxh3.Uint128) bool {
	f.used = true
	// The upper half picks the block, nine bits a probe of the lower the bits.
	block := &f.blocks[h.Hi%uint64(len(f.blocks))]
	all := true
	for bits, n := h.Lo, 0; n < filterProbes; bits, n = bits>>9, n+1 {
		word, bit := &block[bits>>6&7], uint64(1)<<(bits&63)
		all = all && *word&bit != 0
		*word |= bit
	}
	return all
}

// addAll adds keys that were there at open.
func (f *filter) addAll(hashes []xxh3.Uint128) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range hashes {
		f.set(h)
	}
}

// fillFilters fills the filters with the quarantine's index by event and with all locators, as far
// as they were not saved, until it is done or the store closes.
func (s *Store) fillFilters(v view, head Head, database DatabaseID) error {
	err := s.fill(v, s.held, []byte{format.SpaceByEvent}, func(key []byte) []byte { return key[:max(1, len(key)-14)] })
	if err != nil {
		return err
	}
	from, current, err := s.loadFilter(v, head, database)
	switch {
	case errors.Is(err, errClosed):
		return err
	case err != nil && !errors.Is(err, errNoFilter):
		s.o.Logger.Warn("saved membership filter is unreadable, all locators are read", "err", err)
	}
	if current {
		s.filterAt = head
		s.filter.filled.Store(true)
		return nil
	}
	low := binary.BigEndian.AppendUint16([]byte{format.SpaceLocator}, uint16(from))
	return s.fill(v, s.filter, low, func(key []byte) []byte { return key[min(format.LocatorHeader, len(key)):] })
}

// lookUpTakes is about what looking an event up in one generation takes.
const lookUpTakes = 2 * time.Microsecond

// awaitFilterLocked waits until the filter is filled, but no longer than looking up that many events would take.
func (s *Store) awaitFilterLocked(events int) {
	if s.filter.filled.Load() || s.o.Brief {
		return
	}
	patience := time.Duration(events) * time.Duration(s.mu.journal.Totals.Generation+1) * lookUpTakes
	select {
	case <-s.filtered:
	case <-time.After(patience):
	}
}

// fill adds to a filter what it knows of the keys from low to the end of its keyspace.
func (s *Store) fill(v view, f *filter, low []byte, known func(key []byte) []byte) error {
	hashes := make([]xxh3.Uint128, 0, 4096)
	err := v.scan(low, []byte{low[0] + 1}, func(key, _ []byte) error {
		hashes = append(hashes, xxh3.Hash128(known(key)))
		if len(hashes) < cap(hashes) {
			return nil
		}
		f.addAll(hashes)
		hashes = hashes[:0]
		if s.closing.Load() {
			return errClosed
		}
		return nil
	})
	if err != nil {
		return err
	}
	f.addAll(hashes)
	f.filled.Store(true)
	return nil
}
