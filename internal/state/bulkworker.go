package state

import (
	"fmt"
	"strings"

	"daybook/internal/billing"
	"daybook/internal/dedup"
	"daybook/internal/extsort"
	"daybook/internal/state/format"
)

// The kinds of row that a load sorts by locator key.
const (
	versionRow     = 0 // length of a head, head, value of the locator that the event has if this is its only version
	quarantinedRow = 1 // a quarantined record that names its event: place in the log, verdict, payload
)

// The head of a version row is the encoded version and money of its record, then its contentHash.

// bulkWorker is one core's share of a load: of the records in Add, of the keys in Commit.
type bulkWorker struct {
	l *BulkLoad
	// By locator key: each version, and each quarantined record that names its event.
	versions *extsort.Sorter
	// By record key: the record of each version that is no delete.
	records *extsort.Sorter
	// By record key: which of the records there, if any, is stored. Events with one version have no row.
	placements *extsort.Sorter
	// Other rows as they are stored. A key may occur twice, with one value.
	rest *extsort.Sorter

	tenants map[billing.TenantID]bool
	tenant  billing.TenantID // of the record added last
	added   map[PartitionID]*addedRecords
	current *addedRecords // of the record added last

	tx             *transaction // for single events
	parser         versionParser
	packed         []byte       // scratch
	scratch        extsort.Rows // rows of one event
	mergedVersions int64
	liveEvents     int64 // events whose winner is no delete
	writtenRecords int64
	recordDigest   billing.Digest // of written records
	marked         []byte         // prefix of the record keys of the account-day that was marked last
	outcomes       map[PartitionID]*[billing.OutcomeCount]int64
}

// addedRecords counts what a worker has added of one partition.
type addedRecords struct {
	partition   PartitionID
	records     int64
	first, last int64                       // the least and the greatest offset
	outcomes    [billing.OutcomeCount]int64 // as if each event had one version
}

// newBulkWorker makes a worker that sorts in memory bytes.
func newBulkWorker(l *BulkLoad, number int, memory int64) *bulkWorker {
	w := &bulkWorker{
		l: l, tenants: map[billing.TenantID]bool{}, added: map[PartitionID]*addedRecords{},
		tx: l.newTransaction(map[billing.AccountDay]dedup.Change{}),
	}
	for _, sorter := range []struct {
		to     **extsort.Sorter
		name   string
		memory int64
	}{
		{&w.versions, "versions", 7 * memory / 16}, {&w.records, "records", 7 * memory / 16},
		{&w.placements, "placements", memory / 16}, {&w.rest, "rest", memory / 16},
	} {
		create := func() (extsort.File, error) { return l.s.tempFile(fmt.Sprintf("%s-%d", sorter.name, number)) }
		*sorter.to = extsort.NewSorter(extsort.Options{Memory: sorter.memory, Create: create})
	}
	return w
}

// add adds a record, whose memory is not retained.
func (w *bulkWorker) add(r *Record) error {
	a := w.addedOf(r.source())
	tenant := r.Event.Tenant
	if r.Rejection != nil {
		a.outcomes[billing.Quarantined]++
		tenant = r.Rejection.Tenant
		w.addRejection(r)
	} else {
		a.outcomes[onlyOutcome(r.Event.Op == billing.Delete)]++
		w.addEvent(&r.Event)
	}
	if tenant != w.tenant && tenant != "" {
		w.tenant = billing.TenantID(strings.Clone(string(tenant)))
		w.tenants[w.tenant] = true
	}
	for _, s := range [...]*extsort.Sorter{w.versions, w.records, w.rest} {
		if err := s.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// addedOf counts a record and returns the counts of its partition.
func (w *bulkWorker) addedOf(src billing.Source) *addedRecords {
	if id := format.PartitionOf(src); w.current == nil || w.current.partition != id {
		if w.current = w.added[id]; w.current == nil {
			w.current = &addedRecords{partition: id, first: src.Offset, last: src.Offset}
			w.added[id] = w.current
		}
	}
	a := w.current
	a.records++
	a.first, a.last = min(a.first, src.Offset), max(a.last, src.Offset)
	return a
}

// onlyOutcome is the outcome of an event's only version.
func onlyOutcome(deleted bool) billing.Outcome {
	if deleted {
		return billing.Deleted
	}
	return billing.New
}

// addEvent adds the rows of a version.
func (w *bulkWorker) addEvent(e *billing.Event) {
	if e.Op == billing.Delete {
		w.addDelete(e)
		return
	}
	b, n, money, texts := appendRows(w.packed[:0], e)
	w.packed = b
	locator := b[n.locatorKey:][:n.locator]
	recordKey, record := b[n.locatorKey+n.locator:][:n.recordKey], b[n.locatorKey+n.locator+n.recordKey:]
	hash := w.parser.contentHash(recordKey, record, money)
	w.addVersion(b[:n.locatorKey], record[1:texts], hash, locator)
	w.records.Rows.Set(recordKey, record)
}

// addDelete adds the row of a delete.
func (w *bulkWorker) addDelete(e *billing.Event) {
	v := deletedVersion(e.Version)
	b := format.AppendLocatorKey(w.packed[:0], 0, e.Tenant, e.ID)
	key := len(b)
	b = format.AppendMoney(format.AppendVersion(b, e.Version), v.cost)
	head := len(b)
	b = format.AppendLocatorValue(b, &v.Winner)
	w.packed = b
	w.addVersion(b[:key], b[key:head], v.Digest, b[head:])
}

// addVersion adds a version row.
func (w *bulkWorker) addVersion(locatorKey, versionAndMoney []byte, hash billing.Digest, locator []byte) {
	rows := &w.versions.Rows
	rows.Begin()
	rows.Buf = append(rows.Buf, locatorKey...)
	rows.EndKey()
	rows.Buf = append(rows.Buf, versionRow, byte(len(versionAndMoney)+len(hash)))
	rows.Buf = append(append(rows.Buf, versionAndMoney...), hash[:]...)
	rows.Buf = append(rows.Buf, locator...)
	rows.End()
}

// addRejection adds a quarantined record. If it names an event, whether it is superseded is decided when the event's
// winner is known.
func (w *bulkWorker) addRejection(r *Record) {
	q := &quarantineChange{record: w.tx.newQuarantined(r), key: r.Key, value: r.Value}
	if r.Rejection.Tenant == "" || r.Rejection.Event == "" {
		w.tx.encodeQuarantine(&w.rest.Rows, q)
		return
	}
	rows := &w.versions.Rows
	rows.Begin()
	rows.Buf = format.AppendLocatorKey(rows.Buf, 0, r.Rejection.Tenant, r.Rejection.Event)
	rows.EndKey()
	src := q.record.Source
	rows.Buf = format.AppendSource(append(rows.Buf, quarantinedRow), format.PartitionOf(src), src.Offset)
	rows.Buf = format.AppendString(rows.Buf, string(format.AppendQuarantineValue(nil, q.record)))
	rows.Buf = format.AppendPayloadValue(rows.Buf, q.key, q.value)
	rows.End()
}
