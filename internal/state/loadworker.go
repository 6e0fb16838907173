package state

import (
	"encoding/binary"
	"hash/maphash"
	"strings"

	"daybook/internal/billing"
	"daybook/internal/dedup"
	"daybook/internal/extsort"
	"daybook/internal/state/format"
)

// What a row of a load's versions is.
const (
	rowVersion = 0 // the length of a head, the head, and the locator that the event has if this is its only version
	rowHeld    = 1 // a quarantined record: its place, verdict and payload
)

// loadWorker is one core's part of a load: of the records in Take, of the keys in Commit.
type loadWorker struct {
	l      *Load
	number int
	// By locator key: each version, and each quarantined record that names its event.
	versions *extsort.Sorter
	// By record key: each version that is no delete.
	records *extsort.Sorter
	// By record key: the fates, of events that have several versions.
	fates *extsort.Sorter
	// All other rows as they are to be stored; a key may come twice, with one value.
	rest *extsort.Sorter

	tenants    map[billing.TenantID]bool
	tenant     billing.TenantID // taken last
	taken      map[PartitionID]*loadTaken
	of         *loadTaken // taken from last
	w          *write     // of single events
	scratch    extsort.Rows
	settled    int64            // versions
	live, kept int64            // events by their versions, and records
	digest     format.SetDigest // of the records
	row        []byte           // scratch
	marked     []byte           // the account-day marked last
	out        map[PartitionID]*[billing.OutcomeCount]int64
}

// loadTaken is what a worker has taken of one partition.
type loadTaken struct {
	partition   PartitionID
	records     int64
	first, last int64                       // the least and the greatest offset
	outcomes    [billing.OutcomeCount]int64 // as if each event had one version
}

// take takes a record, of which nothing is kept.
func (k *loadWorker) take(r *Record) error {
	src := r.source()
	if id := format.PartitionOf(src); k.of == nil || k.of.partition != id {
		if k.of = k.taken[id]; k.of == nil {
			k.of = &loadTaken{partition: id, first: src.Offset, last: src.Offset}
			k.taken[id] = k.of
		}
	}
	of := k.of
	of.records++
	of.first, of.last = min(of.first, src.Offset), max(of.last, src.Offset)
	t := r.Event.Tenant
	if r.Rejection != nil {
		of.outcomes[billing.Quarantined]++
		t = r.Rejection.Tenant
		k.reject(r)
	} else {
		of.outcomes[aloneOutcome(r.Event.Op == billing.Delete)]++
		k.event(&r.Event)
	}
	if t != k.tenant && t != "" {
		k.tenant = billing.TenantID(strings.Clone(string(t)))
		k.tenants[k.tenant] = true
	}
	for _, s := range [...]*extsort.Sorter{k.versions, k.records, k.rest} {
		if err := s.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// aloneOutcome is the outcome of an event's only version.
func aloneOutcome(deleted bool) billing.Outcome {
	if deleted {
		return billing.Deleted
	}
	return billing.New
}

// event makes the rows of a version. The head of a row of versions is the version, its money, and what its content is told
// from others by: that of an event with one version is passed over.
func (k *loadWorker) event(e *billing.Event) {
	win := dedup.WinnerOf(e, billing.Digest{})
	c := &k.versions.Rows
	c.Begin()
	c.Buf = format.AppendLocatorKey(c.Buf, 0, e.Tenant, e.ID)
	c.EndKey()
	c.Buf = append(c.Buf, rowVersion, 0)
	at := len(c.Buf)
	c.Buf = format.AppendVersion(c.Buf, e.Version)
	money := len(c.Buf)
	c.Buf = format.AppendMoney(c.Buf, e.Cost)
	sum := len(c.Buf)
	c.Buf = append(c.Buf, win.Digest[:]...)
	c.Buf[at-1] = byte(len(c.Buf) - at)
	c.Buf = format.AppendLocatorValue(c.Buf, &win)
	c.End()
	if win.Deleted {
		return
	}
	r := &k.records.Rows
	r.Begin()
	r.Buf, _ = format.AppendRecordKeyOfLocator(r.Buf, c.BuiltKey(), e.Account, e.Day)
	r.EndKey()
	value := len(r.Buf)
	r.Buf = append(append(r.Buf, 0), c.Buf[at:sum]...)
	r.Buf = format.AppendRecordTexts(r.Buf, value, e)
	row, flags := r.Built(), len(r.BuiltKey())+1
	k.row = append(append(k.row[:0], row[:flags]...), row[flags+money-at:]...)
	r.End()
	win.Digest = k.l.tell(k.row)
	copy(c.Buf[sum:], win.Digest[:])
}

// tell is what contents are told from each other by while a load goes on: a hash of 128 bits with keys that are made
// anew for each load. It takes a tenth of what the content's digest does, and nobody can make two contents that share it.
func (l *Load) tell(content []byte) (d billing.Digest) {
	for i, seed := range l.seeds {
		binary.BigEndian.PutUint64(d[8*i:], maphash.Bytes(seed, content))
	}
	return d
}

// reject takes a quarantined record. Whether it is superseded is settled when its event's winner is known.
func (k *loadWorker) reject(r *Record) {
	src := r.source()
	h := &held{q: &Quarantined{Source: src, Rejection: *r.Rejection, Status: QuarantineOpen, ArrivedAt: k.w.at, Size: r.Size}, key: r.Key, value: r.Value}
	if r.Rejection.Tenant == "" || r.Rejection.Event == "" {
		k.w.encodeQuarantine(&k.rest.Rows, h)
		return
	}
	c := &k.versions.Rows
	c.Begin()
	c.Buf = format.AppendLocatorKey(c.Buf, 0, r.Rejection.Tenant, r.Rejection.Event)
	c.EndKey()
	c.Buf = format.AppendSource(append(c.Buf, rowHeld), format.PartitionOf(src), src.Offset)
	c.Buf = format.AppendString(c.Buf, string(format.AppendQuarantineValue(nil, h.q)))
	c.Buf = format.AppendPayloadValue(c.Buf, h.key, h.value)
	c.End()
}
