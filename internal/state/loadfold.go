package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"

	"daybook/internal/billing"
	"daybook/internal/dedup"
	"daybook/internal/extsort"
	"daybook/internal/state/format"
)

// The fates of an event that has several versions, at a record key of theirs. A record's value is longer.
const (
	fateGone  = 0 // the event lives elsewhere, or not at all
	fateLives = 1 // it lives here; its dirty account-days are known already
)

// looksAtContext is after how many rows a worker looks whether it is to go on, and says how far it is.
const looksAtContext = 4096

// group is all that was added of one event.
type group struct {
	key      []byte // of its locator
	first    []byte // its first row, while that is the only one
	alone    bool
	row      []byte // scratch
	tenant   billing.TenantID
	id       billing.EventID
	versions []version
	held     []*held
}

// version is one version of an event, as the winner that it would be alone.
type version struct {
	dedup.Winner
	cost billing.Money
}

// parseCandidate reads a row of versions, without its first byte.
func parseCandidate(row []byte) (v version, err error) {
	head, locator, err := cutCandidate(row)
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
	return v, f.Done("row of a load")
}

// cutCandidate cuts a row of versions, without its first byte, in its two parts.
func cutCandidate(row []byte) (head, locator []byte, err error) {
	f := format.Decoder{Rest: row}
	head = f.Take(int(f.Byte()))
	if f.Bad || len(f.Rest) == 0 {
		return nil, nil, errInconsistentLoad
	}
	return head, f.Rest, nil
}

// fold resolves the versions of each event and writes its locator.
func (k *loadWorker) fold(ctx context.Context, m *extsort.Merger, out *loadTables) error {
	k.begin()
	var g group
	var words format.Strings
	for n := 0; ; n++ {
		if err := k.passed(ctx, n); err != nil {
			return err
		}
		key, value, err := m.Next()
		if err == nil && bytes.Equal(key, g.key) {
			if err := g.more(value, &words); err != nil {
				return err
			}
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if g.key != nil {
			if err := k.settle(&g, &words, out); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
		g.begin(key, value)
	}
}

// passed says how far the worker is after n rows, and whether it is to go on.
func (k *loadWorker) passed(ctx context.Context, n int) error {
	if n%looksAtContext != 0 {
		return nil
	}
	k.l.merged.Add(looksAtContext)
	return ctx.Err()
}

// begin gives the worker a write of its own for the rows of single events.
func (k *loadWorker) begin() {
	k.w = k.l.newWrite(k.w.dirty)
	k.out = map[PartitionID]*[billing.OutcomeCount]int64{}
}

// begin begins with an event's first row.
func (g *group) begin(key, value []byte) {
	g.key = append(g.key[:0], key...)
	g.first, g.alone = append(g.first[:0], value...), true
}

// more adds a row that is not the first.
func (g *group) more(value []byte, words *format.Strings) error {
	if err := g.open(words); err != nil {
		return err
	}
	return g.add(value)
}

// open reads an event that has not one version alone.
func (g *group) open(words *format.Strings) error {
	if !g.alone {
		return nil
	}
	g.alone = false
	g.versions, g.held = g.versions[:0], g.held[:0]
	var uuid [36]byte
	tenant, id, err := format.ParseLocatorKey(g.key, &uuid)
	if err != nil {
		return err
	}
	g.tenant, g.id = billing.TenantID(words.Intern(tenant)), billing.EventID(words.Copy(id))
	return g.add(g.first)
}

func (g *group) add(value []byte) error {
	f := format.Decoder{Rest: value}
	switch f.Byte() {
	case rowVersion:
		v, err := parseCandidate(f.Rest)
		if err != nil {
			return err
		}
		g.versions = append(g.versions, v)
		return nil
	default:
		place := append([]byte{format.SpaceQuarantine}, f.Take(14)...)
		verdict := f.Bytes()
		if f.Bad {
			return f.Done("row of a load")
		}
		q, err := format.ParseQuarantined(place, verdict)
		if err != nil {
			return err
		}
		var payload Quarantined
		err = payload.SetPayload(bytes.Clone(f.Rest))
		g.held = append(g.held, &held{q: q, key: payload.Key, value: payload.Value})
		return err
	}
}

// settle writes what comes of an event. Most have one version, and nothing to resolve.
func (k *loadWorker) settle(g *group, words *format.Strings, out *loadTables) error {
	if !g.alone || g.first[0] != rowVersion {
		if err := g.open(words); err != nil {
			return err
		}
		return k.resolve(g, out)
	}
	_, locator, err := cutCandidate(g.first[1:])
	if err != nil {
		return err
	}
	k.settled++
	if locator[0]&format.LocatorDeleted == 0 {
		k.live++
	}
	g.row = append(append(g.row[:0], g.key...), locator...)
	k.w.totals.Locators++
	k.w.totals.LocatorDigest.Add(format.HashLocator(g.row))
	return out.set(g.key, locator)
}

// resolve resolves a group's versions, in the order of their partitions and offsets, and writes what comes of it.
func (k *loadWorker) resolve(g *group, out *loadTables) error {
	w := k.w
	sl := slot{tenant: g.tenant, id: g.id}
	if len(g.versions) > 1 {
		slices.SortFunc(g.versions, func(a, b version) int {
			p, q := a.Version.Source, b.Version.Source
			if c := format.PartitionOf(p).Compare(format.PartitionOf(q)); c != 0 {
				return c
			}
			return int(min(max(p.Offset-q.Offset, -1), 1))
		})
	}
	var cost billing.Money
	k.settled += int64(len(g.versions))
	for i := range g.versions {
		v := &g.versions[i]
		e := billing.Event{Tenant: g.tenant, ID: g.id, Account: v.Account, Day: v.Day, Cost: v.cost, Version: v.Version}
		if v.Deleted {
			e.Op = billing.Delete
		}
		res, err := dedup.Resolve(sl.cur, sl.has, &e, v.Digest, func() (billing.Money, error) { return cost, nil })
		if err != nil {
			return fmt.Errorf("resolve event: %w", err)
		}
		if len(g.versions) > 1 { // else its account-day is marked with its record
			for _, t := range res.Dirty[:res.N] {
				w.dirty[t.AccountDay] |= t.Change
			}
		}
		if res.Put || res.Raise {
			cost = v.cost
		}
		if res.Changed && res.Winner.Tied && !sl.cur.Tied {
			w.ties++
		}
		sl.cur, sl.has = res.Winner, true
		outcomes := k.outcomes(format.PartitionOf(v.Version.Source))
		outcomes[aloneOutcome(v.Deleted)]-- // which it was counted as
		outcomes[res.Outcome]++
	}
	if sl.has {
		if !sl.cur.Deleted {
			k.live++
		}
		if err := k.locate(g, &sl, out); err != nil {
			return err
		}
	}
	for _, h := range g.held {
		w.overtake(h, &sl)
		w.encodeQuarantine(&k.rest.Rows, h)
	}
	if len(w.dirty) > w.s.o.LoadDirty {
		k.spillDirty()
	}
	return errors.Join(k.fates.Flush(), k.rest.Flush())
}

// locate writes an event's locator, and notes where else it has versions.
func (k *loadWorker) locate(g *group, sl *slot, out *loadTables) error {
	c := &k.scratch
	c.Reset()
	k.w.encodeEvent(c, sl)
	for i := range c.Len() {
		key, value, _ := c.Row(int32(i))
		if key[0] != format.SpaceLocator {
			k.rest.Rows.Set(key, value)
		} else if err := out.set(key, value); err != nil {
			return err
		}
	}
	if len(g.versions) == 1 {
		return nil
	}
	for i := range g.versions {
		v := &g.versions[i]
		if v.Deleted {
			continue
		}
		fate := byte(fateGone)
		if !sl.cur.Deleted && v.Account == sl.cur.Account && v.Day == sl.cur.Day {
			fate = fateLives
		}
		f := &k.fates.Rows
		f.Begin()
		f.Buf = format.AppendRecordKey(f.Buf, billing.AccountDay{Tenant: g.tenant, Account: v.Account, Day: v.Day}, g.id)
		f.EndKey()
		f.Buf = append(f.Buf, fate)
		f.End()
	}
	return nil
}

func (k *loadWorker) outcomes(id PartitionID) *[billing.OutcomeCount]int64 {
	o := k.out[id]
	if o == nil {
		o = new([billing.OutcomeCount]int64)
		k.out[id] = o
	}
	return o
}

// spillDirty moves the dirty account-days to the rows to be stored.
func (k *loadWorker) spillDirty() {
	k.w.encodeDirty(&k.rest.Rows)
	clear(k.w.dirty)
}

// folded adds what the worker folded to the whole write.
func (k *loadWorker) folded(w *write) {
	for id, outcomes := range k.out {
		w.count(w.positions[id], outcomes)
	}
	for a, change := range k.w.dirty {
		w.dirty[a] |= change
	}
	for t := range k.tenants {
		w.seen(t)
	}
	w.ties += k.w.ties
	w.totals.Locators += k.w.totals.Locators
	w.totals.LocatorDigest.Add(k.w.totals.LocatorDigest)
}

// choose writes the record of each event that lives: of the versions at one record key the greatest, as
// the winner is the greatest of all, unless the event lives elsewhere.
func (k *loadWorker) choose(ctx context.Context, m *extsort.Merger, out *loadTables) error {
	row, at := k.row[:0], 0 // the row in hand, and where its value begins
	var gone, marked bool
	for n := 0; ; n++ {
		if err := k.passed(ctx, n); err != nil {
			return err
		}
		key, value, err := m.Next()
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err != nil || !bytes.Equal(key, row[:at]) {
			if at != 0 && !gone {
				if err := k.record(row, at, marked, out); err != nil {
					return err
				}
			}
			if err != nil {
				return nil
			}
			row, at, gone, marked = append(row[:0], key...), len(key), false, false
		}
		switch {
		case len(value) == 1:
			gone, marked = gone || value[0] == fateGone, true
		case len(row) == at || contentVersion(value).Compare(contentVersion(row[at:])) > 0:
			row = append(row[:at], value...)
		}
	}
}

// record writes a record, whose value begins at at, and marks its account-day unless that is done.
func (k *loadWorker) record(row []byte, at int, marked bool, out *loadTables) error {
	key := row[:at]
	k.kept++
	k.digest.Add(format.HashRecord(row))
	if !marked && (len(k.marked) == 0 || !bytes.HasPrefix(key, k.marked)) {
		n, err := format.AccountDayPrefix(key)
		if err != nil {
			return err
		}
		k.marked = append(k.marked[:0], key[:n]...)
		c := &k.rest.Rows
		c.Begin()
		c.Buf = append(append(append(c.Buf, format.SpaceMarker), key[1:n]...), byte(bits.TrailingZeros8(uint8(dedup.Added))))
		c.EndKey()
		c.Buf = format.AppendMarkerValue(c.Buf, k.w.sequence, k.w.at)
		c.End()
		if err := k.rest.Flush(); err != nil {
			return err
		}
	}
	return out.set(key, row[at:])
}

// contentVersion is the version in a record's value.
func contentVersion(value []byte) billing.Version {
	f := format.Decoder{Rest: value[1:]}
	return f.Version()
}

// copy writes rows as they are; of those with one key, one.
func (k *loadWorker) copy(ctx context.Context, m *extsort.Merger, out *loadTables) error {
	var last []byte
	for {
		key, value, err := m.Next()
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
