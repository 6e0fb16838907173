package format

import (
	"math/bits"

	"github.com/zeebo/xxh3"
)

// SetDigest is an order-independent digest of a set: the sum of its members'
// 128-bit hashes modulo 2^128. It guards against what is missing or doubled,
// not against someone who forges.
type SetDigest struct{ hi, lo uint64 }

func (d *SetDigest) Add(h SetDigest) {
	var carry uint64
	d.lo, carry = bits.Add64(d.lo, h.lo, 0)
	d.hi, _ = bits.Add64(d.hi, h.hi, carry)
}

func (d *SetDigest) Sub(h SetDigest) {
	var borrow uint64
	d.lo, borrow = bits.Sub64(d.lo, h.lo, 0)
	d.hi, _ = bits.Sub64(d.hi, h.hi, borrow)
}

// HashLocator is a locator's: the generation depends on the order of arrival and is left out.
func HashLocator(row []byte) SetDigest { return HashRow(row[LocatorHeader:]) }

// HashRecord is a record's, or an amended record's: which of them it is depends on the order of arrival.
func HashRecord(row []byte) SetDigest { return HashRow(row[1:]) }

func HashRow(b []byte) SetDigest {
	h := xxh3.Hash128(b)
	return SetDigest{h.Hi, h.Lo}
}
