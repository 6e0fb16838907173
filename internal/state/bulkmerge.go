package state

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/bits"
	"slices"

	"daybook/internal/billing"
	"daybook/internal/dedup"
	"daybook/internal/extsort"
	"daybook/internal/state/format"
)

// The first byte of a placement: which record at the key is stored.
const (
	placedElsewhere = 0 // none: the winner is a delete, or has another account-day
	placedHere      = 1 // the one with the version that follows; its account-days are marked already
)

// progressRows is the number of rows between two reports of progress and looks at the context.
const progressRows = 4096

// eventGroup is all that was added of one event.
type eventGroup struct {
	key         []byte // of its locator
	first       []byte // its first row
	hasOneRow   bool   // first is the only one so far; versions and quarantined are not filled
	scratch     []byte
	tenant      billing.TenantID
	versions    []version
	quarantined []*quarantineChange
}

// cutVersionRow cuts a version row, without its first byte, in its two parts.
func cutVersionRow(row []byte) (head, locator []byte, err error) {
	f := format.Decoder{Rest: row}
	head = f.Take(int(f.Byte()))
	if f.Bad || len(f.Rest) == 0 {
		return nil, nil, errInconsistentLoad
	}
	return head, f.Rest, nil
}

// parseVersionRow reads a version row without its first byte.
func parseVersionRow(row []byte) (v version, err error) {
	head, locator, err := cutVersionRow(row)
	if err != nil {
		return v, err
	}
	if v.Winner, err = format.ParseLocatorValue(locator); err != nil {
		return v, err
	}
	f := format.Decoder{Rest: head}
	v.Version = f.Version()
	v.cost = f.Money()
	v.Digest = f.Digest()
	return v, f.Done("version row of a load")
}

// startMerging gives the worker a transaction with the sequence and time of Commit.
func (w *bulkWorker) startMerging() {
	w.tx = w.l.newTransaction(w.tx.dirty)
	w.outcomes = map[PartitionID]*[billing.OutcomeCount]int64{}
}

// mergeVersions resolves the versions of each event and writes its locator.
func (w *bulkWorker) mergeVersions(ctx context.Context, mergers []*extsort.Merger, out *tableWriter) error {
	var g eventGroup
	for n := 0; ; n++ {
		if err := w.report(ctx, n); err != nil {
			return err
		}
		key, value, err := mergers[0].Next()
		if err == nil && bytes.Equal(key, g.key) {
			if err := g.add(value, &w.parser.strings); err != nil {
				return err
			}
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if g.key != nil {
			if err := w.writeEvent(&g, out); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
		g.start(key, value)
	}
}

// report reports progress after n rows, and returns the error of the context.
func (w *bulkWorker) report(ctx context.Context, n int) error {
	if n%progressRows != 0 {
		return nil
	}
	w.l.merged.Add(progressRows)
	return ctx.Err()
}

// start makes g an event with its first row.
func (g *eventGroup) start(key, value []byte) {
	g.key = append(g.key[:0], key...)
	g.first, g.hasOneRow = append(g.first[:0], value...), true
}

// add adds a row that is not the first.
func (g *eventGroup) add(value []byte, s *format.Strings) error {
	if err := g.parseFirst(s); err != nil {
		return err
	}
	return g.parse(value)
}

// parseFirst parses the key and the first row, unless that was done. Most events have one version, and need neither.
func (g *eventGroup) parseFirst(s *format.Strings) error {
	if !g.hasOneRow {
		return nil
	}
	g.hasOneRow = false
	g.versions, g.quarantined = g.versions[:0], g.quarantined[:0]
	tenant, _, err := format.CutKeyString(g.key[format.LocatorHeader:])
	if err != nil {
		return err
	}
	g.tenant = billing.TenantID(s.Intern(tenant))
	return g.parse(g.first)
}

// parse reads one row.
func (g *eventGroup) parse(value []byte) error {
	f := format.Decoder{Rest: value}
	if f.Byte() == versionRow {
		v, err := parseVersionRow(f.Rest)
		g.versions = append(g.versions, v)
		return err
	}
	key := append([]byte{format.SpaceQuarantine}, f.Take(14)...)
	verdict := f.Bytes()
	if f.Bad {
		return f.Done("quarantined row of a load")
	}
	record, err := format.ParseQuarantined(key, verdict)
	if err != nil {
		return err
	}
	var payload Quarantined
	if err := payload.SetPayload(bytes.Clone(f.Rest)); err != nil {
		return err
	}
	g.quarantined = append(g.quarantined, &quarantineChange{record: record, key: payload.Key, value: payload.Value})
	return nil
}

// writeEvent writes what an event is stored as, but for its record. The locator of an event with one version was
// made when it was added.
func (w *bulkWorker) writeEvent(g *eventGroup, out *tableWriter) error {
	if !g.hasOneRow || g.first[0] != versionRow {
		if err := g.parseFirst(&w.parser.strings); err != nil {
			return err
		}
		return w.resolve(g, out)
	}
	_, locator, err := cutVersionRow(g.first[1:])
	if err != nil {
		return err
	}
	w.mergedVersions++
	if locator[0]&format.LocatorDeleted == 0 {
		w.liveEvents++
	}
	g.scratch = append(append(g.scratch[:0], g.key...), locator...)
	w.tx.totals.Locators++
	w.tx.totals.LocatorDigest = w.tx.totals.LocatorDigest.Plus(format.HashLocator(g.scratch))
	return out.set(g.key, locator)
}

// resolve resolves the versions of an event in the order of their partitions and offsets.
func (w *bulkWorker) resolve(g *eventGroup, out *tableWriter) error {
	slices.SortFunc(g.versions, func(a, b version) int { return comparePlaces(a.Version.Source, b.Version.Source) })
	e := eventEntry{tenant: g.tenant, locatorKey: g.key}
	w.mergedVersions += int64(len(g.versions))
	for i := range g.versions {
		v := &g.versions[i]
		outcome, err := w.tx.resolve(&e, v, recordRow{}) // mergeRecords stores the record
		if err != nil {
			return err
		}
		outcomes := w.outcomesOf(format.PartitionOf(v.Version.Source))
		outcomes[onlyOutcome(v.Deleted)]-- // as which it was counted when it was added
		outcomes[outcome]++
	}
	if e.found {
		if !e.winner.Deleted {
			w.liveEvents++
		}
		if err := w.writeLocator(&e, out); err != nil {
			return err
		}
		if len(g.versions) > 1 {
			w.place(g, &e)
		}
	}
	for _, q := range g.quarantined {
		q.supersede(&e)
		w.tx.encodeQuarantine(&w.rest.Rows, q)
	}
	if len(w.tx.dirty) > w.tx.s.o.LoadDirty {
		w.spillDirty()
	}
	return errors.Join(w.placements.Flush(), w.rest.Flush())
}

// comparePlaces orders records by partition and offset.
func comparePlaces(a, b billing.Source) int {
	if c := format.PartitionOf(a).Compare(format.PartitionOf(b)); c != 0 {
		return c
	}
	return int(min(max(a.Offset-b.Offset, -1), 1))
}

// writeLocator writes the locator of an event, and its row in the index of ties.
func (w *bulkWorker) writeLocator(e *eventEntry, out *tableWriter) error {
	w.scratch.Reset()
	w.tx.encodeEvent(&w.scratch, e)
	for i := range w.scratch.Len() {
		key, value, _ := w.scratch.Row(int32(i))
		if key[0] != format.SpaceLocator {
			w.rest.Rows.Set(key, value)
		} else if err := out.set(key, value); err != nil {
			return err
		}
	}
	return nil
}

// place adds the placement of an event with several versions, at each record key that they have.
func (w *bulkWorker) place(g *eventGroup, e *eventEntry) {
	rows := &w.placements.Rows
	for i := range g.versions {
		v := &g.versions[i]
		if v.Deleted || i > 0 && v.Account == g.versions[i-1].Account && v.Day == g.versions[i-1].Day && !g.versions[i-1].Deleted {
			continue
		}
		rows.Begin()
		rows.Buf, _ = format.AppendRecordKeyOfLocator(rows.Buf, g.key, v.Account, v.Day)
		rows.EndKey()
		if !e.winner.Deleted && v.Account == e.winner.Account && v.Day == e.winner.Day {
			rows.Buf = format.AppendVersion(append(rows.Buf, placedHere), e.winner.Version)
		} else {
			rows.Buf = append(rows.Buf, placedElsewhere)
		}
		rows.End()
	}
}

func (w *bulkWorker) outcomesOf(id PartitionID) *[billing.OutcomeCount]int64 {
	o := w.outcomes[id]
	if o == nil {
		o = new([billing.OutcomeCount]int64)
		w.outcomes[id] = o
	}
	return o
}

// spillDirty moves the dirty account-days to the rows that are stored.
func (w *bulkWorker) spillDirty() {
	w.tx.encodeMarkers(&w.rest.Rows)
	clear(w.tx.dirty)
}

// addTo adds what the worker has merged to the transaction of the load.
func (w *bulkWorker) addTo(tx *transaction) {
	for id, outcomes := range w.outcomes {
		tx.count(tx.positions[id], outcomes)
	}
	for a, change := range w.tx.dirty {
		tx.dirty[a] |= change
	}
	for t := range w.tenants {
		tx.addTenant(t)
	}
	tx.ties += w.tx.ties
	tx.totals.Locators += w.tx.totals.Locators
	tx.totals.LocatorDigest = tx.totals.LocatorDigest.Plus(w.tx.totals.LocatorDigest)
}

// mergeRecords writes the record of each event whose winner is no delete. The first merger has the records of all
// versions. The second has placements: they say which record an event with several versions is stored with. The
// others have one.
func (w *bulkWorker) mergeRecords(ctx context.Context, mergers []*extsort.Merger, out *tableWriter) error {
	placements := placementReader{merger: mergers[1]}
	var last []byte // the key of the record before
	var placement []byte
	written := true // the record that last's placement asks for
	for n := 0; ; n++ {
		if err := w.report(ctx, n); err != nil {
			return err
		}
		key, value, err := mergers[0].Next()
		if errors.Is(err, io.EOF) {
			if !written {
				return errInconsistentLoad
			}
			return nil
		}
		if err != nil {
			return err
		}
		if !bytes.Equal(key, last) {
			if !written {
				return errInconsistentLoad
			}
			last = append(last[:0], key...)
			if placement, err = placements.at(key); err != nil {
				return err
			}
			written = len(placement) == 0 || placement[0] == placedElsewhere
			if len(placement) == 0 {
				if err := w.writeRecord(key, value, false, out); err != nil {
					return err
				}
				continue
			}
		} else if len(placement) == 0 {
			return errInconsistentLoad // two versions of an event without a placement
		}
		// A value is a byte of flags, then the version.
		if placement[0] == placedElsewhere || !bytes.HasPrefix(value[1:], placement[1:]) {
			continue
		}
		if written {
			return errInconsistentLoad // two records with one version
		}
		written = true
		if err := w.writeRecord(key, value, true, out); err != nil {
			return err
		}
	}
}

// placementReader reads placements in the order of keys. An event may have several equal ones at a key.
type placementReader struct {
	merger     *extsort.Merger
	key, value []byte // the next placement
	started    bool
	ended      bool
}

// at returns the placement at key, empty if there is none. Keys must ascend. It is valid until the next call.
func (p *placementReader) at(key []byte) ([]byte, error) {
	for !p.ended && (!p.started || bytes.Compare(p.key, key) < 0) {
		k, v, err := p.merger.Next()
		if errors.Is(err, io.EOF) {
			p.ended = true
			break
		}
		if err != nil {
			return nil, err
		}
		p.started = true
		p.key, p.value = append(p.key[:0], k...), append(p.value[:0], v...)
	}
	if p.ended || !bytes.Equal(p.key, key) {
		return nil, nil
	}
	return p.value, nil
}

// writeRecord writes a record, and marks its account-day unless that is done.
func (w *bulkWorker) writeRecord(key, value []byte, isMarked bool, out *tableWriter) error {
	w.packed = append(append(w.packed[:0], key...), value...)
	w.writtenRecords++
	w.recordDigest = w.recordDigest.Plus(format.HashRecord(w.packed))
	if !isMarked && (len(w.marked) == 0 || !bytes.HasPrefix(key, w.marked)) {
		n, err := format.AccountDayPrefix(key)
		if err != nil {
			return err
		}
		w.marked = append(w.marked[:0], key[:n]...)
		rows := &w.rest.Rows
		rows.Begin()
		rows.Buf = append(append(append(rows.Buf, format.SpaceMarker), key[1:n]...), byte(bits.TrailingZeros8(uint8(dedup.Added))))
		rows.EndKey()
		rows.Buf = format.AppendMarkerValue(rows.Buf, w.tx.sequence, w.tx.at)
		rows.End()
		if err := w.rest.Flush(); err != nil {
			return err
		}
	}
	return out.set(key, value)
}

// copyRows writes rows as they are, and of those with one key, one.
func (w *bulkWorker) copyRows(_ context.Context, mergers []*extsort.Merger, out *tableWriter) error {
	var last []byte
	for {
		key, value, err := mergers[0].Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if bytes.Equal(key, last) {
			continue
		}
		last = append(last[:0], key...)
		if err := out.set(key, value); err != nil {
			return err
		}
	}
}
