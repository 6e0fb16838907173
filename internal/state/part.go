package state

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync"

	"github.com/zeebo/xxh3"

	"daybook/internal/billing"
	"daybook/internal/dedup"
	"daybook/internal/state/format"
)

// Part is what a batch brings of one partition, in the order of its log. Of an upsert it keeps the two rows that the
// store is to hold if this is the event's only version, as most are: they take a third of the memory that the event
// takes, so that many fit into one write, and large writes leave less to compact. It is filled by one goroutine, and
// used again after Reset.
type Part struct {
	Partition PartitionID

	slabs       []*[]byte // of rows: each a partRow and what follows it
	rows        int
	rare        []Record // rejections and deletes
	first, last int64    // the least and the greatest offset
	stray       bool     // a record of another partition was added
	rounded     int64
	tenants     map[billing.TenantID]bool
	tenant      billing.TenantID // added last
	locators    format.SetDigest // of all locators in it
	records     format.SetDigest // of all records in it
}

// slabBytes is the memory that parts take at once. A row that needs more has a slab of its own.
const slabBytes = 64 << 10

// slabs are free ones; how many rows a part has differs from batch to batch.
var slabs = sync.Pool{New: func() any {
	b := make([]byte, 0, slabBytes)
	return &b
}}

// Reset empties p for records of a partition.
func (p *Part) Reset(partition PartitionID) {
	for _, slab := range p.slabs {
		if cap(*slab) == slabBytes {
			*slab = (*slab)[:0]
			slabs.Put(slab)
		}
	}
	clear(p.slabs)
	clear(p.rare)
	clear(p.tenants)
	*p = Part{Partition: partition, slabs: p.slabs[:0], rare: p.rare[:0], tenants: p.tenants}
}

// Add adds a record. Of an upsert nothing is kept; a rejection or a delete is kept as it is.
func (p *Part) Add(r *Record) {
	src := r.source()
	p.stray = p.stray || format.PartitionOf(src) != p.Partition
	if p.rows == 0 {
		p.first, p.last = src.Offset, src.Offset
	}
	p.first, p.last = min(p.first, src.Offset), max(p.last, src.Offset)
	p.rows++
	if r.Rounded {
		p.rounded++
	}
	t, id := r.Event.Tenant, r.Event.ID
	switch {
	case r.Rejection != nil:
		t, id = r.Rejection.Tenant, r.Rejection.Event
		fallthrough
	case r.Event.Op == billing.Delete:
		row := partRow{rare: int32(len(p.rare)) + 1}
		if t != "" && id != "" {
			row.hash = xxh3.Hash128(format.AppendEventKey(nil, t, id))
		}
		p.rare = append(p.rare, *r)
		slab := p.slab(partRowBytes)
		*slab = row.append(*slab)
	default:
		p.pack(&r.Event)
	}
	if t != p.tenant && t != "" {
		p.tenant = billing.TenantID(strings.Clone(string(t)))
		if p.tenants == nil {
			p.tenants = map[billing.TenantID]bool{}
		}
		p.tenants[p.tenant] = true
	}
}

// slab is one that has room for n bytes.
func (p *Part) slab(n int) *[]byte {
	if i := len(p.slabs) - 1; i >= 0 && cap(*p.slabs[i])-len(*p.slabs[i]) >= n {
		return p.slabs[i]
	}
	var slab *[]byte
	if n > slabBytes {
		b := make([]byte, 0, n)
		slab = &b
	} else {
		slab = slabs.Get().(*[]byte)
	}
	p.slabs = append(p.slabs, slab)
	return slab
}

// eventBytes bounds what the rows of an event take: each byte of a key may be escaped, and fields have lengths.
func eventBytes(e *billing.Event) int {
	keys := 2*(len(e.Tenant)+len(e.ID)) + len(e.Account)
	return partRowBytes + 2*keys + len(e.Account) + len(e.Service) + len(e.Region) + len(e.PricingModel) + len(e.Category) +
		len(e.Period) + len(e.Attributes) + 256
}

// pack adds the rows of an upsert. The generation of its locator is the write's to set.
func (p *Part) pack(e *billing.Event) {
	win := dedup.WinnerOf(e, billing.Digest{})
	slab := p.slab(eventBytes(e))
	head := len(*slab)
	b := (*slab)[:head+partRowBytes]
	at := len(b)
	b = format.AppendLocatorKey(b, 0, e.Tenant, e.ID)
	locatorKey := len(b)
	b = format.AppendLocatorValue(b, &win)
	locator := len(b)
	b, accountDay := format.AppendRecordKeyOfLocator(b, b[at:locatorKey], e.Account, e.Day)
	recordKey := len(b)
	b = format.AppendRecordValue(b, e)
	r := partRow{
		hash:       xxh3.Hash128(b[at+format.LocatorHeader : locatorKey]),
		locatorKey: uint32(locatorKey - at), locator: uint32(locator - locatorKey),
		recordKey: uint32(recordKey - locator), record: uint32(len(b) - recordKey), accountDay: uint32(accountDay - locator),
	}
	r.append(b[:head])
	*slab = b
	p.locators.Add(format.HashLocator(b[at:locator]))
	p.records.Add(format.HashRecord(b[locator:]))
}

// within reports an error if a record of p, which has some, is not one that the advance of its partition passes over.
func (p *Part) within(a *Advance) error {
	off := p.first
	if a != nil && off >= a.From {
		off = p.last
	}
	if p.stray || a == nil || off < a.From || off >= a.Next {
		return fmt.Errorf("%w: record %d of partition %d of topic %d is outside of its batch", ErrPosition, off, p.Partition.Partition, p.Partition.Topic)
	}
	return nil
}

// partRow is one record of a part. In its slab a locator and a record follow it, each a key and a value, unless it is rare.
type partRow struct {
	hash                xxh3.Uint128 // of the event's key; zero of a rejection that names no event
	rare                int32        // place in Part.rare, plus one; 0: it is not
	locatorKey, locator uint32       // bytes of each
	recordKey, record   uint32
	accountDay          uint32 // bytes of the record's key that name it
}

// partRowBytes is what a partRow takes in a slab.
const partRowBytes = 40

func (r *partRow) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, r.hash.Hi)
	b = binary.LittleEndian.AppendUint64(b, r.hash.Lo)
	for _, n := range [...]uint32{uint32(r.rare), r.locatorKey, r.locator, r.recordKey, r.record, r.accountDay} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}

// partCursor goes through a part's rows in their order.
type partCursor struct {
	partRow
	p    *Part
	slab int    // of the row
	b    []byte // its slab
	at   int    // of the locator in b
	next int    // of the next row in b
}

// cursor is before the first row.
func (p *Part) cursor() partCursor { return partCursor{p: p, slab: -1} }

// step goes to the next row, if there is one.
func (c *partCursor) step() bool {
	for c.next == len(c.b) {
		if c.slab++; c.slab == len(c.p.slabs) {
			return false
		}
		c.b, c.next = *c.p.slabs[c.slab], 0
	}
	b := c.b[c.next:][:partRowBytes]
	c.at = c.next + partRowBytes
	c.hash = xxh3.Uint128{Hi: binary.LittleEndian.Uint64(b), Lo: binary.LittleEndian.Uint64(b[8:])}
	c.rare = int32(binary.LittleEndian.Uint32(b[16:]))
	c.locatorKey, c.locator = binary.LittleEndian.Uint32(b[20:]), binary.LittleEndian.Uint32(b[24:])
	c.recordKey, c.record = binary.LittleEndian.Uint32(b[28:]), binary.LittleEndian.Uint32(b[32:])
	c.accountDay = binary.LittleEndian.Uint32(b[36:])
	c.next = c.at + int(c.locatorKey+c.locator+c.recordKey+c.record)
	return true
}

// rareRecord is the row's rejection or delete, nil if it is an upsert.
func (c *partCursor) rareRecord() *Record {
	if c.rare == 0 {
		return nil
	}
	return &c.p.rare[c.rare-1]
}

// recordAt is where the record lies in b.
func (c *partCursor) recordAt() int { return c.at + int(c.locatorKey+c.locator) }

// eventKey is the key of an upsert's event.
func (c *partCursor) eventKey() []byte {
	return c.b[c.at+format.LocatorHeader : c.at+int(c.locatorKey)]
}

// event makes an upsert's event.
func (c *partCursor) event(words *format.Strings) (*billing.Event, error) {
	record := c.b[c.recordAt():c.next]
	e := new(billing.Event)
	return e, format.ParseRecord(record[:c.recordKey], record[c.recordKey:], e, words)
}

// setGeneration completes an upsert's locator.
func (c *partCursor) setGeneration(g format.Generation) {
	binary.BigEndian.PutUint16(c.b[c.at+1:], uint16(g))
}
