package state

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/zeebo/xxh3"
)

// bloomFilter answers "definitely new" for most keys that are new, so that they need no look-up. It is a blocked Bloom
// filter (Putze, Sanders, Singler: Cache-, Hash- and Space-Efficient Bloom Filters, 2007): all bits of a key are in one
// block of 64 bytes, so that a key costs one cache miss. With filterProbes bits a key, TestBloomFilterFalsePositives
// measures these shares of new keys that are taken for old ones:
//
//	bits a key         16       10       8       5
//	false positives    0.11 %   0.96 %   2.6 %   14 %
//
// Until it is filled with what the state held when it was opened, it answers "maybe". Keys are never removed: those
// of a transaction that failed cost a look-up when they come again.
type bloomFilter struct {
	mu     sync.Mutex // held by whoever adds while filled is false; afterwards the apply lock protects the filter
	filled atomic.Bool
	used   bool // a key was added
	blocks [][8]uint64
}

// filterProbes is the number of bits that one key sets.
const filterProbes = 7

// newBloomFilter makes a filter of about that many bytes.
func newBloomFilter(bytes int64) *bloomFilter {
	return &bloomFilter{blocks: make([][8]uint64, max(1, bytes/64))}
}

// add adds a key by its hash and reports whether the key may have been added before.
func (f *bloomFilter) add(h xxh3.Uint128) (maybe bool) {
	if f.filled.Load() {
		return f.set(h)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.set(h)
	return true
}

// addStored adds keys that the state held when it was opened.
func (f *bloomFilter) addStored(hashes []xxh3.Uint128) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range hashes {
		f.set(h)
	}
}

// addBlocks adds the keys of another filter of the same size, of which b has the blocks from the index at on.
func (f *bloomFilter) addBlocks(at int, b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.used = true
	for ; len(b) > 0; at, b = at+1, b[64:] {
		for i := range f.blocks[at] {
			f.blocks[at][i] |= binary.LittleEndian.Uint64(b[8*i:])
		}
	}
}

// empty reports whether the filter is filled and has no key.
func (f *bloomFilter) empty() bool { return f.filled.Load() && !f.used }

// has reports whether a key may have been added.
func (f *bloomFilter) has(h xxh3.Uint128) bool {
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

// set sets a key's bits and reports whether all of them were set.
func (f *bloomFilter) set(h xxh3.Uint128) bool {
	f.used = true
	// The upper half of the hash chooses the block; each nine bits of the lower half choose one of its 512 bits.
	block := &f.blocks[h.Hi%uint64(len(f.blocks))]
	all := true
	for bits, n := h.Lo, 0; n < filterProbes; bits, n = bits>>9, n+1 {
		word, bit := &block[bits>>6&7], uint64(1)<<(bits&63)
		all = all && *word&bit != 0
		*word |= bit
	}
	return all
}
