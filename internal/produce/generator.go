package produce

import (
	"encoding/hex"
	"math/bits"
	"slices"
	"strconv"
	"time"
)

// The names that synthetic charges are made of.
var (
	generatedServices = []string{
		"AmazonEC2", "AmazonS3", "AmazonRDS", "AWSLambda", "AmazonDynamoDB", "AmazonCloudFront",
		"awskms", "AmazonEKS", "AWSQueueService", "AmazonCloudWatch", "AWSDataTransfer", "AmazonOpenSearch",
	}
	generatedRegions = []string{"us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-1", "ap-northeast-1"}
	generatedModels  = []string{"OnDemand", "Reserved", "Spot", "SavingsPlan"}
)

// Kinds of synthetic records.
const (
	kindNew kind = iota
	kindLate
	kindCorrected
	kindMoved
	kindDuplicate
	kindBroken
)

// kind is the kind of a synthetic record.
type kind uint8

// Generator generates synthetic records. Record i is a pure function of the configuration and i, so records are
// independent and two runs generate the same bytes. It is not safe for concurrent use: create one per goroutine.
//
// Records are in order of time: the ingested_at of record i of Count is From + i/Count of the days. A corrected,
// moved or repeated record refers to an earlier event.
type Generator struct {
	config GeneratorConfig
	start  time.Time
	step   time.Duration // between two records
	bounds [kindBroken]uint64
	buf    []byte
}

// NewGenerator returns a Generator. The configuration must be valid.
func NewGenerator(c GeneratorConfig) *Generator {
	g := &Generator{config: c}
	g.start, _ = time.Parse(time.DateOnly, c.From)
	span := time.Duration(c.Days) * 24 * time.Hour
	g.step = max(span/time.Duration(max(c.Count, 1)), 1)
	if c.Count == 0 { // endless: at the pace of the clock
		g.step = time.Duration(float64(time.Second) / max(c.Rate, 1))
	}
	// The kind of a record is the interval of its 64-bit hash between these bounds.
	share := 0.0
	for i, s := range []float64{c.Broken, c.Duplicate, c.Moved, c.Corrected, c.Late} {
		share += s
		g.bounds[i] = fraction(share)
	}
	return g
}

// Record returns record i, counted from 0. key and value are valid until the
// next call; key is nil for some broken records.
func (g *Generator) Record(i int64) (key, value []byte) {
	k, target := g.kindOf(i), i
	if k == kindCorrected || k == kindMoved || k == kindDuplicate {
		if target = g.earlier(i); target < 0 {
			k, target = kindNew, i
		}
	}
	g.buf = g.buf[:0]
	if k == kindBroken {
		return g.broken(i)
	}
	if k == kindDuplicate {
		return g.event(target, target, g.kindOf(target))
	}
	return g.event(i, target, k)
}

// event appends the version that record i has of the event of record target.
func (g *Generator) event(i, target int64, k kind) (key, value []byte) {
	made := g.at(i)
	said := randomness{seed: g.config.Seed, n: uint64(i)}     // values of this version
	own := randomness{seed: g.config.Seed, n: uint64(target)} // values of all versions of the event

	day := g.at(target)
	if g.kindOf(target) == kindLate {
		day = day.AddDate(0, 0, -2-int(own.below(saltLate, 6)))
		if day.Before(g.start) {
			day = g.start
		}
	}
	account := own.below(saltAccount, g.config.Accounts)
	tenant := account % g.config.Tenants
	if k == kindMoved {
		// To another account of the tenant, or to another day: both move money
		// between account-days.
		peers := (g.config.Accounts - tenant + g.config.Tenants - 1) / g.config.Tenants
		if peers > 1 && said.below(saltMove, 2) == 0 {
			place := account / g.config.Tenants
			place = (place + 1 + said.below(saltMove+1, peers-1)) % peers
			account = place*g.config.Tenants + tenant
		} else if day = day.AddDate(0, 0, -1); day.Before(g.start) {
			day = day.AddDate(0, 0, 2)
		}
	}

	b := g.buf
	b = append(b, `{"event_id":"`...)
	idBegin := len(b)
	b = g.appendID(b, own, g.at(target))
	idEnd := len(b)
	if g.config.Tenants > 1 {
		b = append(b, `","tenant_id":"tenant-`...)
		b = appendPadded(b, tenant, 3)
	}
	b = append(b, `","account_id":"`...)
	b = appendPadded(b, 100_000_000_000+account*7_919, 12)
	b = append(b, `","service_name":"`...)
	b = append(b, generatedServices[own.below(saltService, uint64(len(generatedServices)))]...)
	b = append(b, `","usage_date":"`...)
	b = day.AppendFormat(b, time.DateOnly)
	b = append(b, `","cost_usd":`...)
	b = appendCost(b, said)
	b = append(b, `,"ingested_at":"`...)
	b = made.AppendFormat(b, "2006-01-02T15:04:05.000000Z")
	b = append(b, `","region":"`...)
	b = append(b, generatedRegions[own.below(saltRegion, uint64(len(generatedRegions)))]...)
	b = append(b, `","pricing_model":"`...)
	b = append(b, generatedModels[own.below(saltModel, uint64(len(generatedModels)))]...)
	b = append(b, `","charge_category":"Usage"`...)
	b = g.pad(b, own)
	g.buf = append(b, '}')
	return g.buf[idBegin:idEnd], g.buf
}

// broken appends a record that ingest must quarantine: one of several faults.
func (g *Generator) broken(i int64) (key, value []byte) {
	own := randomness{seed: g.config.Seed, n: uint64(i)}
	key, whole := g.event(i, i, kindNew)
	key, whole = slices.Clone(key), slices.Clone(whole)
	switch own.below(saltBroken, 5) {
	case 0: // cut short
		return key, whole[:len(whole)/2]
	case 1: // a member twice
		return key, append(whole[:len(whole)-1], `,"cost_usd":1}`...)
	case 2: // not JSON at all
		return nil, []byte("event " + string(key))
	case 3: // another currency
		return key, append(whole[:len(whole)-1], `,"currency":"NOK"}`...)
	default: // no cost
		return key, []byte(`{"event_id":"` + string(key) + `","account_id":"100000000000","service_name":"none","usage_date":"` + g.config.From + `"}`)
	}
}

// kindOf is the kind of record i, by the configured shares.
func (g *Generator) kindOf(i int64) kind {
	h := randomness{seed: g.config.Seed, n: uint64(i)}.bits(saltKind)
	for j, k := range [...]kind{kindBroken, kindDuplicate, kindMoved, kindCorrected, kindLate} {
		if h < g.bounds[j] {
			return k
		}
	}
	return kindNew
}

// earlier is a record before i with a new event; -1 if none was found.
func (g *Generator) earlier(i int64) int64 {
	own := randomness{seed: g.config.Seed, n: uint64(i)}
	for try := uint64(0); i > 0 && try < 64; try++ {
		t := int64(own.below(saltTarget+try, uint64(i)))
		if k := g.kindOf(t); k == kindNew || k == kindLate {
			return t
		}
	}
	return -1
}

// at is the time of record i.
func (g *Generator) at(i int64) time.Time { return g.start.Add(time.Duration(i) * g.step) }

// appendID appends the event's id: a random UUID (version 4), or a UUID (version 7) or ULID that starts with the
// time of its first record.
func (g *Generator) appendID(b []byte, own randomness, first time.Time) []byte {
	hi, lo := own.bits(saltID), own.bits(saltID+1)
	if g.config.IDs == ULIDs {
		return appendULID(b, uint64(first.UnixMilli())<<16|hi&0xffff, lo)
	}
	version := uint64(4)
	if g.config.IDs == TimeIDs {
		version = 7
		hi = uint64(first.UnixMilli())<<16 | hi&0xfff
	}
	hi = hi&^uint64(0xf000) | version<<12
	lo = lo&^uint64(0xc000_0000_0000_0000) | 0x8000_0000_0000_0000
	var raw [16]byte
	for i := range 8 {
		raw[i] = byte(hi >> (56 - 8*i))
		raw[8+i] = byte(lo >> (56 - 8*i))
	}
	b = hex.AppendEncode(b, raw[:4])
	for _, part := range [][]byte{raw[4:6], raw[6:8], raw[8:10], raw[10:]} {
		b = append(b, '-')
		b = hex.AppendEncode(b, part)
	}
	return b
}

// appendULID appends 128 bits in Crockford's base 32: 26 characters, the first of two bits.
func appendULID(b []byte, hi, lo uint64) []byte {
	const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	for shift := 125; shift >= 0; shift -= 5 {
		// The bits of hi|lo from shift on; a shift by 64 or more gives 0.
		b = append(b, digits[(hi>>max(shift-64, 0)<<max(64-shift, 0)|lo>>shift)&31])
	}
	return b
}

// pad appends an attribute until the event has the configured size.
func (g *Generator) pad(b []byte, own randomness) []byte {
	const before, after = `,"sku":"`, `"}`
	room := g.config.EventBytes - len(b) - len(before) - len(after)
	if room < 1 {
		return b
	}
	b = append(b, before...)
	for j := uint64(0); room > 0; j++ {
		var digits [16]byte
		hexDigits(&digits, own.bits(saltPad+j))
		n := min(room, len(digits))
		b = append(b, digits[:n]...)
		room -= n
	}
	return append(b, '"')
}

// Salts make the random values of one record independent.
const (
	saltKind uint64 = iota << 16
	saltTarget
	saltLate
	saltAccount
	saltMove
	saltService
	saltRegion
	saltModel
	saltCost
	saltID
	saltBroken
	saltPad
)

// randomness is the random source of one record: every value is a hash of seed, record and salt.
type randomness struct{ seed, n uint64 }

// bits are 64 random bits (the finalizer of splitmix64, twice).
func (r randomness) bits(salt uint64) uint64 {
	return mix(mix(r.seed+salt*0x9e3779b97f4a7c15) ^ (r.n+1)*0xbf58476d1ce4e5b9)
}

// below is a number in [0, n).
func (r randomness) below(salt, n uint64) uint64 {
	hi, _ := bits.Mul64(r.bits(salt), n)
	return hi
}

// mix spreads every bit of x over all of them.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// fraction is the part share of the 64-bit numbers.
func fraction(share float64) uint64 {
	if share >= 1 {
		return 1<<64 - 1
	}
	return uint64(share * (1 << 63) * 2)
}

// appendCost appends an amount from 0.000000 to 99.999999, most of them small.
func appendCost(b []byte, said randomness) []byte {
	micros := said.below(saltCost, 100_000_000)
	if said.below(saltCost+1, 10) > 0 {
		micros /= 1_000
	}
	b = strconv.AppendUint(b, micros/1_000_000, 10)
	b = append(b, '.')
	return appendPadded(b, micros%1_000_000, 6)
}

// appendPadded appends n with leading zeros.
func appendPadded(b []byte, n uint64, width int) []byte {
	for limit := uint64(10); width > 1; width-- {
		if n < limit {
			for range width - 1 {
				b = append(b, '0')
			}
			break
		}
		limit *= 10
	}
	return strconv.AppendUint(b, n, 10)
}

// hexDigits writes x as 16 digits.
func hexDigits(dst *[16]byte, x uint64) {
	const digits = "0123456789abcdef"
	for i := range dst {
		dst[i] = digits[x>>(60-4*i)&15]
	}
}
