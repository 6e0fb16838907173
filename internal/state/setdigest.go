package state

import (
	"math/bits"

	"github.com/zeebo/xxh3"
)

// setDigest is an order-independent digest of a set: the sum of its members'
// 128-bit hashes modulo 2^128. It guards against what is missing or doubled,
// not against someone who forges.
type setDigest struct{ hi, lo uint64 }

func (d *setDigest) add(h setDigest) {
	var carry uint64
	d.lo, carry = bits.Add64(d.lo, h.lo, 0)
	d.hi, _ = bits.Add64(d.hi, h.hi, carry)
}

func (d *setDigest) sub(h setDigest) {
	var borrow uint64
	d.lo, borrow = bits.Sub64(d.lo, h.lo, 0)
	d.hi, _ = bits.Sub64(d.hi, h.hi, borrow)
}

// hashLocator is a locator's: the generation depends on the order of arrival and is left out.
func hashLocator(row []byte) setDigest { return hashRow(row[locatorHead:]) }

// hashRecord is a record's, or an amended record's: which of them it is depends on the order of arrival.
func hashRecord(row []byte) setDigest { return hashRow(row[1:]) }

func hashRow(b []byte) setDigest {
	h := xxh3.Hash128(b)
	return setDigest{h.Hi, h.Lo}
}
