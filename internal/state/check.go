package state

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"daybook/internal/billing"
	"daybook/internal/dedup"
	"daybook/internal/state/engine"
	"daybook/internal/state/format"
)

// Fault is one fault that Check found, or one difference that Compare found.
type Fault struct {
	What string
	Key  string
}

// maxFaults bounds the number of faults that are listed.
const maxFaults = 1000

// Check verifies every invariant of the state: see docs/format-state.md. It returns the faults found; an error
// means that it could not read the state. progress may be nil.
//
// It reads every row once, in order. Whether two keyspaces agree is decided by comparing digests of sets; only
// where they differ are rows looked up one by one, to name them.
func (r *Reader) Check(progress func(done, total int64)) ([]Fault, error) {
	c := &check{Reader: r, progress: progress, tenants: map[string]bool{}, next: map[PartitionID]int64{},
		quarantined: map[PartitionID]int64{}}
	for _, step := range []func() error{
		c.checkJournal, c.checkTenants, c.checkLocators, c.checkRecords, c.checkMarkers, c.checkTies, c.checkQuarantine, c.checkSpaces,
	} {
		err := step()
		if errors.Is(err, ErrDamaged) || errors.Is(err, ErrFormat) {
			c.fault(nil, "%s", err)
			err = nil
		}
		if err != nil {
			return c.faults, err
		}
	}
	return c.faults, nil
}

// tally is a set's size and digest.
type tally struct {
	n      int64
	digest billing.Digest
}

func (t *tally) add(row []byte) {
	t.n++
	t.digest = t.digest.Plus(format.HashRow(row))
}

type check struct {
	*Reader
	faults   []Fault
	progress func(done, total int64)
	done     int64

	tenants     map[string]bool
	next        map[PartitionID]int64
	quarantined map[PartitionID]int64 // numbers by the outcomes of positions
	records     tally                 // expected from locators
	ties        tally                 // expected from locators
	scratch     []byte
}

func (c *check) fault(key []byte, format string, args ...any) {
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, Fault{What: fmt.Sprintf(format, args...), Key: fmt.Sprintf("%q", key)})
	}
}

func (c *check) step() {
	c.done++
	if c.progress != nil && c.done%10_000 == 0 {
		t := &c.journal.Totals
		c.progress(c.done, t.Locators+t.Records)
	}
}

// checkJournal checks the journal's chain, positions, the conservation law, decisions and kept digests.
func (c *check) checkJournal() error {
	_, j, err := c.verify()
	if err != nil {
		return err
	}
	if j.Head != c.journal.Head {
		c.fault(nil, "the journal's head changed since the state was opened")
	}
	positions, err := c.positions()
	if err != nil {
		return err
	}
	for _, p := range positions {
		c.next[p.Partition] = p.NextOffset
		c.quarantined[p.Partition] = p.Outcomes[billing.Quarantined]
	}
	decisions, err := c.decisions()
	if err != nil {
		return err
	}
	for i, d := range decisions {
		if d.Number != uint64(i)+1 {
			c.fault(format.SequenceKey(format.SpaceDecision, d.Number), "decision %d where decision %d is expected", d.Number, i+1)
		}
	}
	if n := int64(len(decisions)); n != j.Totals.Decisions {
		c.fault(nil, "%d decisions, the journal counts %d", n, j.Totals.Decisions)
	}
	return c.scanPrefix([]byte{format.SpaceKeptDigest}, func(key, value []byte) error {
		n, err := format.ParseSequenceKey(key)
		if err != nil || len(value) != 16 || Sequence(n) > j.Head.Sequence {
			c.fault(key, "kept digest of an impossible sequence or size")
			return err
		}
		_, err = c.get(format.SequenceKey(format.SpaceJournal, n), func(entry []byte) error {
			if !bytes.HasPrefix(entry, value) {
				c.fault(key, "kept digest differs from that of the journal")
			}
			return nil
		})
		return err
	})
}

func (c *check) checkTenants() error {
	return c.scanPrefix([]byte{format.SpaceTenant}, func(key, _ []byte) error {
		t, _, err := format.CutKeyString(key[1:])
		c.tenants[string(t)] = true
		return err
	})
}

// checkLocators checks that number and digest of locators are those of the journal, that tenants are listed, and
// that deletes come from consumed offsets.
func (c *check) checkLocators() error {
	var all tally
	newest := c.journal.Totals.Generation
	err := c.scanPrefix([]byte{format.SpaceLocator}, func(key, value []byte) error {
		c.step()
		c.scratch = append(append(c.scratch[:0], key...), value...)
		all.add(c.scratch[min(format.LocatorHeader, len(key)):])
		var uuid [36]byte
		tenant, id, err := format.ParseLocatorKey(key, &uuid)
		if err != nil {
			c.fault(key, "%s", err)
			return nil
		}
		if g := format.LocatorGeneration(key); g > newest {
			c.fault(key, "locator of generation %d, the newest in the journal is %d", g, newest)
		}
		w, err := format.ParseLocatorValue(value)
		if err != nil {
			c.fault(key, "%s", err)
			return nil
		}
		if !c.tenants[string(tenant)] {
			c.fault(key, "the tenant is not listed")
		}
		if w.Deleted {
			c.checkConsumed(key, w.Version)
			return nil
		}
		a := billing.AccountDay{Tenant: billing.TenantID(tenant), Account: w.Account, Day: w.Day}
		c.scratch = format.AppendRecordKey(c.scratch[:0], a, billing.EventID(id))
		c.records.add(c.scratch)
		if w.Tied {
			c.scratch = format.AppendTieKey(c.scratch[:0], a.Tenant, w.Day, billing.EventID(id))
			c.ties.add(c.scratch)
		}
		return nil
	})
	t := &c.journal.Totals
	if err == nil && all != (tally{t.Locators, t.LocatorDigest}) {
		c.fault([]byte{format.SpaceLocator}, "%d locators, the journal counts %d (or their digest differs)", all.n, t.Locators)
	}
	return err
}

// checkConsumed checks that a winner comes from a consumed offset.
func (c *check) checkConsumed(key []byte, v billing.Version) {
	if src := v.Source; src.Offset >= c.next[format.PartitionOf(src)] {
		c.fault(key, "the winner comes from offset %d, which was not consumed", src.Offset)
	}
}

// checkRecords checks that number and digest of records are those of the journal, that records and locators refer
// to each other one to one, that records come from consumed offsets, and that each account-day with events has a
// marker.
func (c *check) checkRecords() (err error) {
	markers, err := c.r.NewIter(&pebble.IterOptions{LowerBound: []byte{format.SpaceMarker}, UpperBound: []byte{format.SpaceMarker + 1}})
	if err != nil {
		return engine.ReadError(err)
	}
	defer func() {
		if e := markers.Close(); e != nil && err == nil {
			err = engine.ReadError(e)
		}
	}()
	var all, places tally
	var e billing.Event
	var words format.Strings
	var accountDay, next []byte
	err = c.scanRecords([]byte{format.SpaceRecord}, []byte{format.SpaceRecord + 1}, func(key, value []byte) error {
		c.step()
		if err := format.ParseRecord(key, value, &e, &words); err != nil {
			c.fault(key, "%s", err)
			return nil
		}
		c.scratch = append(append(c.scratch[:0], key...), value...)
		all.add(c.scratch[1:])
		places.add(key)
		c.checkConsumed(key, e.Version)
		next = format.AppendAccountDayPrefix(next[:0], format.SpaceMarker, e.AccountDay())
		if !bytes.Equal(next, accountDay) {
			accountDay, next = next, accountDay
			found := markers.SeekGE(accountDay) && bytes.HasPrefix(markers.Key(), accountDay)
			if err := markers.Error(); err != nil {
				return engine.ReadError(err)
			}
			if !found {
				c.fault(accountDay, "account-day with events has no marker")
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	t := &c.journal.Totals
	if all != (tally{t.Records, t.RecordDigest}) {
		c.fault([]byte{format.SpaceRecord}, "%d records, the journal counts %d (or their digest differs)", all.n, t.Records)
	}
	if places != c.records {
		c.fault([]byte{format.SpaceRecord}, "%d records but %d locators (or they refer to different records)", all.n, c.records.n)
		return c.nameRecords()
	}
	return nil
}

// nameRecords finds the records without a locator and the locators without a record.
func (c *check) nameRecords() error {
	var e billing.Event
	var words format.Strings
	err := c.scanRecords([]byte{format.SpaceRecord}, []byte{format.SpaceRecord + 1}, func(key, value []byte) error {
		if err := format.ParseRecord(key, value, &e, &words); err != nil {
			return nil // named already
		}
		var w dedup.Winner
		_, found, err := c.locator(c.journal.Totals.Generation, e.Tenant, e.ID, func(value []byte) (err error) {
			w, err = format.ParseLocatorValue(value)
			return err
		})
		switch {
		case errors.Is(err, ErrDamaged): // named already
			return nil
		case err != nil:
			return err
		case !found, w.Deleted, w.Account != e.Account, w.Day != e.Day:
			c.fault(key, "no locator refers to the record")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.scanPrefix([]byte{format.SpaceLocator}, func(key, value []byte) error {
		w, err := format.ParseLocatorValue(value)
		if err != nil || w.Deleted {
			return nil
		}
		a, id, err := locatorParts(key, &w)
		if err != nil {
			return nil
		}
		found, err := c.get(format.AppendRecordKey(nil, a, id), func([]byte) error { return nil })
		if err == nil && !found {
			c.fault(key, "the locator refers to no record")
		}
		return err
	})
}

// locatorParts is the account-day and the event that a locator refers to.
func locatorParts(key []byte, w *dedup.Winner) (a billing.AccountDay, id billing.EventID, err error) {
	var uuid [36]byte
	tenant, event, err := format.ParseLocatorKey(key, &uuid)
	return billing.AccountDay{Tenant: billing.TenantID(tenant), Account: w.Account, Day: w.Day}, billing.EventID(event), err
}

// checkMarkers checks that no marker is newer than the journal, and that tenants are listed.
func (c *check) checkMarkers() error {
	head := c.journal.Head.Sequence
	return c.scanPrefix([]byte{format.SpaceMarker}, func(key, value []byte) error {
		row, err := format.ParseMarker(key, value)
		switch {
		case err != nil:
			c.fault(key, "%s", err)
		case row.Sequence == 0 || row.Sequence > head:
			c.fault(key, "marker of write %d, the journal ends at %d", row.Sequence, head)
		case !c.tenants[string(row.Tenant)]:
			c.fault(key, "the tenant is not listed")
		}
		return nil
	})
}

// checkTies checks that the index of tied winners is the one that locators imply.
func (c *check) checkTies() error {
	var all tally
	err := c.scanPrefix([]byte{format.SpaceTie}, func(key, _ []byte) error {
		all.add(key)
		return nil
	})
	if err == nil && all != c.ties {
		c.fault([]byte{format.SpaceTie}, "index of ties has %d entries, want %d (or different ones)", all.n, c.ties.n)
	}
	return err
}

// checkQuarantine checks that the number of quarantined records is that of positions and journal, that each has its
// payload and its rows in the indexes, and that exactly those are superseded of whose event a greater version was
// accepted.
func (c *check) checkQuarantine() error {
	var byEvent, byDay, want, have tally
	counts := map[PartitionID]int64{}
	total := int64(0)
	err := c.scanPrefix([]byte{format.SpaceQuarantine}, func(key, value []byte) error {
		q, err := format.ParseQuarantined(key, value)
		if err != nil {
			c.fault(key, "%s", err)
			return nil
		}
		total++
		counts[format.PartitionOf(q.Source)]++
		if q.Source.Offset >= c.next[format.PartitionOf(q.Source)] {
			c.fault(key, "quarantined record from an offset that was not consumed")
		}
		want.add(key[1:])
		r := &q.Rejection
		if r.Tenant != "" && !c.tenants[string(r.Tenant)] {
			c.fault(key, "the tenant is not listed")
		}
		if q.Supersedable() {
			byEvent.add(format.AppendSource(format.AppendByEventPrefix(nil, r.Tenant, r.Event), format.PartitionOf(q.Source), q.Source.Offset))
		}
		if a, ok := q.AccountDay(); ok && q.Withholds() {
			byDay.add(format.AppendSource(format.AppendAccountDayPrefix(nil, format.SpaceByDay, a), format.PartitionOf(q.Source), q.Source.Offset))
		}
		if r.Tenant == "" || r.Event == "" {
			return nil
		}
		w, found, err := c.Winner(r.Tenant, r.Event)
		if err != nil {
			return err
		}
		if hasNewer := found && w.Version.Compare(r.Version) > 0; hasNewer != (q.Status == QuarantineSuperseded) {
			c.fault(key, "quarantined record has status %s; newer accepted version exists: %t", q.Status, hasNewer)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if n := c.journal.Totals.Quarantined; total != n {
		c.fault([]byte{format.SpaceQuarantine}, "%d quarantined records, the journal counts %d", total, n)
	}
	for id, n := range c.quarantined {
		if counts[id] != n {
			c.fault(format.PositionKey(id), "%d quarantined records, outcomes count %d", counts[id], n)
		}
	}
	for _, index := range []struct {
		space byte
		want  tally
		name  string
	}{{format.SpaceByEvent, byEvent, "by event"}, {format.SpaceByDay, byDay, "by account-day"}} {
		var all tally
		err := c.scanPrefix([]byte{index.space}, func(key, _ []byte) error {
			all.add(key)
			return nil
		})
		if err != nil {
			return err
		}
		if all != index.want {
			c.fault([]byte{index.space}, "quarantine index %s has %d entries, want %d (or its digest differs)", index.name, all.n, index.want.n)
		}
	}
	err = c.scanPrefix([]byte{format.SpacePayload}, func(key, _ []byte) error {
		have.add(key[1:])
		return nil
	})
	if err == nil && have != want {
		c.fault([]byte{format.SpacePayload}, "payloads of %d quarantined records, want %d (or payload set differs)", have.n, want.n)
	}
	return err
}

// checkSpaces checks that all rows are in known keyspaces.
func (c *check) checkSpaces() error {
	known := []byte{format.SpaceIdentity, format.SpaceBase, format.SpaceJournal, format.SpaceKeptDigest, format.SpacePosition, format.SpaceDecision, format.SpaceCovered, format.SpaceTenant,
		format.SpaceLocator, format.SpaceRecord, format.SpaceMarker, format.SpaceTie, format.SpaceOverlay, format.SpaceQuarantine, format.SpacePayload, format.SpaceByEvent, format.SpaceByDay}
	var low []byte // nil: the iterator takes no empty bound
	for _, space := range append(known, 0) {
		high := []byte{space}
		if space == 0 {
			high = nil
		}
		err := c.scan(low, high, func(key, _ []byte) error {
			c.fault(key, "row in an unknown keyspace")
			return errStop
		})
		if err != nil {
			return err
		}
		low = []byte{space + 1}
	}
	return nil
}
