// Package intern finds strings that repeat without hashing them whole.
//
// It owns the slot that a string has in a small direct-mapped cache; the cache itself, and the map behind it,
// belong to its users, since each keeps something else: one string for all equal ones, a row of totals, a place
// in a dictionary. It is pure and safe for concurrent use, and imports nothing.
package intern

// Slots is how many slots a cache has. Services, regions and pricing models of one bill are a few dozen.
const Slots = 256

// Slot is the slot of a string, which is not empty: a multiplicative hash (Knuth, The Art of Computer
// Programming, volume 3, section 6.4) of its length and three of its bytes. Names of one kind often share their
// first bytes, so none of these is the first. Strings that share a slot displace each other, so a user must
// compare.
func Slot[S ~string | ~[]byte](s S) uint8 {
	n := len(s)
	h := uint32(n) | uint32(s[n/2])<<8 | uint32(s[n*3/4])<<16 | uint32(s[n-1])<<24
	return uint8(h * 0x9E3779B1 >> 24)
}
