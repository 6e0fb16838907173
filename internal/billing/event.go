package billing

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// Op is what a version does to its event.
type Op uint8

// The operations. Their numbers are stored and never change.
const (
	Upsert Op = 0
	Delete Op = 1
)

// Category is a FOCUS charge category; empty means null.
type Category string

// The charge categories that an event may name.
const (
	Usage      Category = "Usage"
	Purchase   Category = "Purchase"
	Tax        Category = "Tax"
	Credit     Category = "Credit"
	Adjustment Category = "Adjustment"
)

// Event is one version of a billing event, parsed from one record. Of a Delete, only Tenant, ID, Op and Version
// are set.
type Event struct {
	Tenant       TenantID
	ID           EventID
	Op           Op
	Account      AccountID
	Service      ServiceName
	Day          Day
	Cost         Money
	Region       Region
	PricingModel PricingModel
	Category     Category
	Period       Period
	// Attributes is the JSON object of all fields that Daybook does not model, with keys in ascending order and
	// values verbatim. Empty means that there are none.
	Attributes string
	Version    Version
}

// Digest identifies content. It is the first 16 bytes of a SHA-256, or a sum of such digests.
type Digest [16]byte

// Digest returns the digest of the event's content, which is every field but Version. Digests are stored, so
// the encoding that they cover changes only with a new content format.
func (e *Event) Digest() Digest {
	var stack [512]byte
	sum := sha256.Sum256(e.appendContent(stack[:0]))
	return Digest(sum[:len(Digest{})])
}

// Plus returns the sum modulo 2^128 of two digests as big-endian integers. The sum of the digests of a set does
// not depend on their order (an additive multiset hash; Bellare and Micciancio 1997, Clarke et al. 2003).
func (d Digest) Plus(e Digest) (sum Digest) {
	lo, carry := bits.Add64(binary.BigEndian.Uint64(d[8:]), binary.BigEndian.Uint64(e[8:]), 0)
	hi, _ := bits.Add64(binary.BigEndian.Uint64(d[:8]), binary.BigEndian.Uint64(e[:8]), carry)
	binary.BigEndian.PutUint64(sum[:8], hi)
	binary.BigEndian.PutUint64(sum[8:], lo)
	return sum
}

// Minus undoes Plus: it removes a member from the digest of a set.
func (d Digest) Minus(e Digest) (rest Digest) {
	lo, borrow := bits.Sub64(binary.BigEndian.Uint64(d[8:]), binary.BigEndian.Uint64(e[8:]), 0)
	hi, _ := bits.Sub64(binary.BigEndian.Uint64(d[:8]), binary.BigEndian.Uint64(e[:8]), borrow)
	binary.BigEndian.PutUint64(rest[:8], hi)
	binary.BigEndian.PutUint64(rest[8:], lo)
	return rest
}

// contentFormat is the first byte of the digested encoding. Another encoding needs another number.
const contentFormat = 1

// appendContent appends the content: numbers of fixed width, and strings after their lengths, so that different
// contents have different encodings.
func (e *Event) appendContent(b []byte) []byte {
	b = append(b, contentFormat, byte(e.Op))
	hi, lo := e.Cost.Parts()
	b = binary.BigEndian.AppendUint64(b, uint64(hi))
	b = binary.BigEndian.AppendUint64(b, lo)
	b = binary.BigEndian.AppendUint32(b, uint32(e.Day))
	b = appendString(b, string(e.Tenant))
	b = appendString(b, string(e.ID))
	b = appendString(b, string(e.Account))
	b = appendString(b, string(e.Service))
	b = appendString(b, string(e.Region))
	b = appendString(b, string(e.PricingModel))
	b = appendString(b, string(e.Category))
	b = appendString(b, string(e.Period))
	return appendString(b, e.Attributes)
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// AccountDay returns the account-day that the event counts in. It is meaningless for a Delete.
func (e *Event) AccountDay() AccountDay {
	return AccountDay{Tenant: e.Tenant, Account: e.Account, Day: e.Day}
}
