package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/big"
	"time"
)

// digestSize is the length of an event's digest in bytes.
const digestSize = 16

// two128 is the modulus of sums of digests, and of negative amounts.
var two128 = new(big.Int).Lsh(big.NewInt(1), 128)

// digest is the digest of an event's content (docs/audit.md): the first half of a SHA-256.
func (e *event) digest(tenant string) *big.Int {
	day, _ := time.Parse(time.DateOnly, e.day)
	cost := new(big.Int).Mod(e.cost, two128) // two's complement
	b := []byte{1, 0}
	b = append(b, cost.FillBytes(make([]byte, 16))...)
	b = binary.BigEndian.AppendUint32(b, uint32(int32(day.Unix()/(24*60*60))))
	for _, s := range [...]string{tenant, e.id, e.account, e.service, e.region, e.pricing, e.category, e.period, e.attributes} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	sum := sha256.Sum256(b)
	return new(big.Int).SetBytes(sum[:digestSize])
}

// hexDigest formats a sum of digests as manifests do.
func hexDigest(sum *big.Int) string {
	return hex.EncodeToString(new(big.Int).Mod(sum, two128).FillBytes(make([]byte, digestSize)))
}
