package state

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync"

	"github.com/zeebo/xxh3"

	"daybook/internal/billing"
	"daybook/internal/extsort"
	"daybook/internal/state/format"
)

// PackedPart is what a batch brings of one partition, in the order of its log. An upsert is kept as the two rows
// that the store holds if it is the event's only version, as most are. Rows take a third of the memory of the
// event, so that many fit into one write, and larger writes have a lower write amplification. One goroutine fills a
// part; Reset makes it usable again.
type PackedPart struct {
	Partition PartitionID

	slabs       []*[]byte // rows: each a rowHeader and what it describes
	rows        int
	unpacked    []Record // rejections and deletes
	first, last int64    // the least and the greatest offset
	foreign     bool     // a record of another partition was added
	rounded     int64
	tenants     map[billing.TenantID]bool
	tenant      billing.TenantID // of the record added last
	locators    billing.Digest   // of all locators in slabs
	records     billing.Digest   // of all records in slabs
}

// slabBytes is the memory that a part takes at a time. A row that needs more has a slab of its own.
const slabBytes = 64 << 10

// freeSlabs are shared between parts, because the number of rows of a part differs from batch to batch.
var freeSlabs = sync.Pool{New: func() any {
	b := make([]byte, 0, slabBytes)
	return &b
}}

// Reset empties p for records of a partition.
func (p *PackedPart) Reset(partition PartitionID) {
	for _, slab := range p.slabs {
		if cap(*slab) == slabBytes {
			*slab = (*slab)[:0]
			freeSlabs.Put(slab)
		}
	}
	clear(p.slabs)
	clear(p.unpacked)
	clear(p.tenants)
	*p = PackedPart{Partition: partition, slabs: p.slabs[:0], unpacked: p.unpacked[:0], tenants: p.tenants}
}

// Add adds a record. An upsert is copied; a rejection or a delete is kept with the memory that it refers to.
func (p *PackedPart) Add(r *Record) {
	src := r.source()
	p.foreign = p.foreign || format.PartitionOf(src) != p.Partition
	if p.rows == 0 {
		p.first, p.last = src.Offset, src.Offset
	}
	p.first, p.last = min(p.first, src.Offset), max(p.last, src.Offset)
	p.rows++
	if r.Rounded {
		p.rounded++
	}
	tenant := r.Event.Tenant
	if r.Rejection != nil {
		tenant = r.Rejection.Tenant
	}
	if r.Rejection != nil || r.Event.Op == billing.Delete {
		p.keep(r)
	} else {
		p.pack(&r.Event)
	}
	if tenant != p.tenant && tenant != "" {
		p.tenant = billing.TenantID(strings.Clone(string(tenant)))
		if p.tenants == nil {
			p.tenants = map[billing.TenantID]bool{}
		}
		p.tenants[p.tenant] = true
	}
}

// slab returns one with n bytes free.
func (p *PackedPart) slab(n int) *[]byte {
	if i := len(p.slabs) - 1; i >= 0 && cap(*p.slabs[i])-len(*p.slabs[i]) >= n {
		return p.slabs[i]
	}
	var slab *[]byte
	if n > slabBytes {
		b := make([]byte, 0, n)
		slab = &b
	} else {
		slab = freeSlabs.Get().(*[]byte)
	}
	p.slabs = append(p.slabs, slab)
	return slab
}

// pack adds the rows of an upsert.
func (p *PackedPart) pack(e *billing.Event) {
	slab := p.slab(rowHeaderBytes + maxRowBytes(e))
	head := len(*slab)
	at := head + rowHeaderBytes
	b, n, _, _ := appendRows((*slab)[:at], e)
	record := at + int(n.locatorKey+n.locator)
	h := rowHeader{rowLengths: n, hash: xxh3.Hash128(b[at+format.LocatorHeader : at+int(n.locatorKey)])}
	h.append(b[:head])
	*slab = b
	p.locators = p.locators.Plus(format.HashLocator(b[at:record]))
	p.records = p.records.Plus(format.HashRecord(b[record:]))
}

// keep adds a rejection or a delete.
func (p *PackedPart) keep(r *Record) {
	h := rowHeader{unpacked: int32(len(p.unpacked)) + 1}
	if t, id := r.eventID(); t != "" && id != "" {
		h.hash = xxh3.Hash128(format.AppendEventKey(nil, t, id))
	}
	p.unpacked = append(p.unpacked, *r)
	slab := p.slab(rowHeaderBytes)
	*slab = h.append(*slab)
}

// within returns an error if a record of p is not among those that the advance of its partition consumes. p has
// records.
func (p *PackedPart) within(a *Advance) error {
	offset := p.first
	if a != nil && offset >= a.From {
		offset = p.last
	}
	if p.foreign || a == nil || offset < a.From || offset >= a.Next {
		return fmt.Errorf("%w: record %d of partition %d of topic %d is outside of its batch", ErrPosition, offset,
			p.Partition.Partition, p.Partition.Topic)
	}
	return nil
}

// rowHeader describes one record of a part. In its slab, the rows of the event follow it, unless the record is
// unpacked.
type rowHeader struct {
	rowLengths
	hash     xxh3.Uint128 // of the event's key; zero for a rejection that names no event
	unpacked int32        // index in PackedPart.unpacked, plus one; 0: the record is packed
}

const rowHeaderBytes = 40

func (h *rowHeader) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, h.hash.Hi)
	b = binary.LittleEndian.AppendUint64(b, h.hash.Lo)
	for _, n := range [...]uint32{uint32(h.unpacked), h.locatorKey, h.locator, h.recordKey, h.record, h.accountDay} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}

// partCursor reads the records of a part in their order.
type partCursor struct {
	rowHeader
	p    *PackedPart
	slab int    // index of the record's slab
	b    []byte // that slab
	at   int    // where the locator begins in b
	end  int    // where the record's rows end in b, and the next header begins
}

// cursor returns a cursor before the first record.
func (p *PackedPart) cursor() partCursor { return partCursor{p: p, slab: -1} }

// next moves to the next record and reports whether there is one.
func (c *partCursor) next() bool {
	for c.end == len(c.b) {
		if c.slab++; c.slab == len(c.p.slabs) {
			return false
		}
		c.b, c.end = *c.p.slabs[c.slab], 0
	}
	b := c.b[c.end:][:rowHeaderBytes]
	c.at = c.end + rowHeaderBytes
	c.hash = xxh3.Uint128{Hi: binary.LittleEndian.Uint64(b), Lo: binary.LittleEndian.Uint64(b[8:])}
	c.unpacked = int32(binary.LittleEndian.Uint32(b[16:]))
	c.locatorKey, c.locator = binary.LittleEndian.Uint32(b[20:]), binary.LittleEndian.Uint32(b[24:])
	c.recordKey, c.record = binary.LittleEndian.Uint32(b[28:]), binary.LittleEndian.Uint32(b[32:])
	c.accountDay = binary.LittleEndian.Uint32(b[36:])
	c.end = c.at + int(c.locatorKey+c.locator+c.recordKey+c.record)
	return true
}

// unpackedRecord returns the rejection or delete, nil for an upsert.
func (c *partCursor) unpackedRecord() *Record {
	if c.unpacked == 0 {
		return nil
	}
	return &c.p.unpacked[c.unpacked-1]
}

// recordAt is where the record's row begins in b.
func (c *partCursor) recordAt() int { return c.at + int(c.locatorKey+c.locator) }

// eventKey is the key of an upsert's event.
func (c *partCursor) eventKey() []byte {
	return c.b[c.at+format.LocatorHeader : c.at+int(c.locatorKey)]
}

// setGeneration completes the key of an upsert's locator.
func (c *partCursor) setGeneration(g format.Generation) {
	format.SetLocatorGeneration(c.b[c.at:], g)
}

// recordRow is a record's row in the memory of a part that was lent to extsort.Rows.
type recordRow struct {
	row    []byte // the key, then the value; nil: there is none
	key    uint32 // length of the key
	memory int    // number that Rows.Lend gave to the slab
	at     int    // where the row begins in the slab
}

// recordRow returns the row of an upsert's record. memory is the number that Rows.Lend gave to the part's first slab.
func (c *partCursor) recordRow(memory int) recordRow {
	at := c.recordAt()
	return recordRow{row: c.b[at:c.end], key: c.recordKey, memory: memory + c.slab, at: at}
}

// appendTo adds the row to rows, in a keyspace of records or overlays, without copying it.
func (r *recordRow) appendTo(rows *extsort.Rows, space byte) {
	r.row[0] = space
	rows.Refer(r.memory, r.at, r.key, uint32(len(r.row))-r.key)
}
