package state

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"time"

	"daybook/internal/billing"
	"daybook/internal/dedup"
)

// What a row of a load's versions is.
const (
	rowVersion = 0 // the version's money and the winner that it would be
	rowHeld    = 1 // a quarantined record: its place, verdict and payload
)

// The fates of an event that has several versions, at a record key of theirs. A record's value is longer.
const (
	fateGone  = 0 // the event lives elsewhere, or not at all
	fateLives = 1 // it lives here; its dirty account-days are known already
)

// loadDirty bounds how many dirty account-days a worker holds in memory.
const loadDirty = 1 << 17

// looksAtContext is after how many rows a worker looks whether it is to go on.
const looksAtContext = 4096

// loadWorker is one core's part of a load: of each batch in Add, of the keys in Commit.
type loadWorker struct {
	l      *Load
	number int
	// By locator key: each version, and each quarantined record that names its event.
	versions *spool
	// By record key: each version that is no delete.
	records *spool
	// By record key: the fates, of events that have several versions.
	fates *spool
	// All other rows as they are to be stored; a key may come twice, with one value.
	rest *spool

	tenants    map[billing.TenantID]bool
	taken      map[PartitionID]loadTaken // of the batch in hand
	w          *write                    // of single events
	scratch    changes
	live, kept int64     // events by their versions, and records
	digest     setDigest // of the records
	row        []byte    // scratch
	marked     []byte    // the account-day marked last
	out        map[PartitionID]*[billing.OutcomeCount]int64
}

// loadTaken is what a worker had of one partition in a batch.
type loadTaken struct{ records, quarantined int64 }

// add takes records of a batch.
func (k *loadWorker) add(records []Record, advances map[PartitionID]*Advance, now time.Time) error {
	if k.taken == nil {
		k.taken = map[PartitionID]loadTaken{}
		k.w = &write{s: k.l.s, dirty: map[billing.AccountDay]dedup.Change{}}
	}
	var of *Advance
	var taken loadTaken
	var tenant billing.TenantID
	for i := range records {
		r := &records[i]
		src := r.source()
		if id := partitionOf(src); of == nil || id != of.Partition {
			if of != nil {
				k.took(of.Partition, taken)
			}
			of, taken = advances[id], loadTaken{}
		}
		if of == nil || src.Offset < of.From || src.Offset >= of.Next {
			return fmt.Errorf("%w: record %d of partition %d of topic %d is outside of its batch", ErrPosition, src.Offset, src.Partition, src.Topic)
		}
		taken.records++
		t := r.Event.Tenant
		if r.Rejection != nil {
			taken.quarantined++
			t = r.Rejection.Tenant
			k.reject(r, now)
		} else {
			k.event(&r.Event)
		}
		if t != tenant && t != "" {
			tenant = t
			k.tenants[t] = true
		}
		if err := errors.Join(k.versions.spillFull(), k.records.spillFull(), k.rest.spillFull()); err != nil {
			return err
		}
	}
	if of != nil {
		k.took(of.Partition, taken)
	}
	return nil
}

func (k *loadWorker) took(id PartitionID, n loadTaken) {
	t := k.taken[id]
	k.taken[id] = loadTaken{t.records + n.records, t.quarantined + n.quarantined}
}

func (k *loadWorker) event(e *billing.Event) {
	win := dedup.WinnerOf(e, e.Digest())
	c := &k.versions.changes
	c.begin()
	c.b = appendLocatorKey(c.b, 0, e.Tenant, e.ID)
	c.value()
	c.b = appendCandidate(append(c.b, rowVersion), &version{win, e.Cost})
	c.put()
	if win.Deleted {
		return
	}
	c = &k.records.changes
	c.begin()
	c.b = appendRecordKey(c.b, e.AccountDay(), e.ID)
	c.value()
	c.b = appendContent(c.b, e)
	c.put()
}

// reject takes a quarantined record. Whether it is superseded is settled when its event's winner is known.
func (k *loadWorker) reject(r *Record, now time.Time) {
	src := r.source()
	h := &held{q: &Quarantined{Source: src, Rejection: *r.Rejection, Status: QuarantineOpen, ArrivedAt: now, Size: r.Size}, key: r.Key, value: r.Value}
	if r.Rejection.Tenant == "" || r.Rejection.Event == "" {
		k.w.encodeQuarantine(&k.rest.changes, h)
		return
	}
	c := &k.versions.changes
	c.begin()
	c.b = appendLocatorKey(c.b, 0, r.Rejection.Tenant, r.Rejection.Event)
	c.value()
	c.b = appendKeySource(append(c.b, rowHeld), partitionOf(src), src.Offset)
	c.b = appendString(c.b, string(appendQuarantined(nil, h.q)))
	c.b = appendPayload(c.b, h.key, h.value)
	c.put()
}

// group is all that was added of one event.
type group struct {
	key      []byte // of its locator
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

// appendCandidate appends a version as a row of versions has it.
func appendCandidate(b []byte, v *version) []byte {
	var flags byte
	if v.Deleted {
		flags = winnerDeleted
	}
	b = appendVersion(append(b, flags), v.Version)
	b = append(appendMoney(b, v.cost), v.Digest[:]...)
	b = binary.AppendVarint(b, int64(v.Day))
	return append(b, v.Account...)
}

func parseCandidate(value []byte, words *texts) (v version, err error) {
	f := fields{b: value}
	v.Deleted = f.byte()&winnerDeleted != 0
	v.Version = f.version()
	v.cost = f.money()
	v.Digest = f.digest()
	v.Day = billing.Day(f.varint())
	v.Account, f.b = billing.AccountID(words.word(f.b)), nil
	return v, f.done("row of a load")
}

// fold resolves the versions of each event and writes its locator.
func (k *loadWorker) fold(ctx context.Context, m *merge, out *loadTables) error {
	k.begin()
	var g group
	var words texts
	for n := 0; ; n++ {
		if n%looksAtContext == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		key, value, err := m.next()
		if err != nil || !bytes.Equal(key, g.key) {
			if g.key != nil {
				if err := k.settle(&g, out); err != nil {
					return err
				}
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := g.begin(key, &words); err != nil {
				return err
			}
		}
		if err := g.add(value, &words); err != nil {
			return err
		}
	}
}

// begin gives the worker a write of its own for the rows of single events.
func (k *loadWorker) begin() {
	w := &write{s: k.l.s, sequence: k.l.w.sequence, at: k.l.w.at, dirty: map[billing.AccountDay]dedup.Change{}}
	if k.w != nil {
		w.dirty = k.w.dirty
	}
	k.w, k.out = w, map[PartitionID]*[billing.OutcomeCount]int64{}
}

func (g *group) begin(key []byte, words *texts) error {
	g.key = append(g.key[:0], key...)
	g.versions, g.held = g.versions[:0], g.held[:0]
	var uuid [36]byte
	tenant, id, err := locatorEvent(key, &uuid)
	if err != nil {
		return err
	}
	g.tenant, g.id = billing.TenantID(words.word(tenant)), billing.EventID(words.text(id))
	return err
}

func (g *group) add(value []byte, words *texts) error {
	f := fields{b: value}
	switch f.byte() {
	case rowVersion:
		v, err := parseCandidate(f.b, words)
		if err != nil {
			return err
		}
		g.versions = append(g.versions, v)
		return nil
	default:
		place := append([]byte{spaceQuarantine}, f.take(14)...)
		verdict := f.bytes()
		if f.bad {
			return f.done("row of a load")
		}
		q, err := parseQuarantined(place, verdict)
		if err != nil {
			return err
		}
		var payload Quarantined
		err = payload.setPayload(bytes.Clone(f.b))
		g.held = append(g.held, &held{q: q, key: payload.Key, value: payload.Value})
		return err
	}
}

// settle resolves a group's versions, in the order of their partitions and offsets, and writes what comes of it.
func (k *loadWorker) settle(g *group, out *loadTables) error {
	w := k.w
	sl := slot{tenant: g.tenant, id: g.id}
	if len(g.versions) > 1 {
		slices.SortFunc(g.versions, func(a, b version) int {
			p, q := a.Version.Source, b.Version.Source
			if c := partitionOf(p).compare(partitionOf(q)); c != 0 {
				return c
			}
			return int(min(max(p.Offset-q.Offset, -1), 1))
		})
	}
	var cost billing.Money
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
		k.outcomes(partitionOf(v.Version.Source))[res.Outcome]++
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
		w.encodeQuarantine(&k.rest.changes, h)
	}
	if len(w.dirty) > loadDirty {
		k.spillDirty()
	}
	return errors.Join(k.fates.spillFull(), k.rest.spillFull())
}

// locate writes an event's locator, and notes where else it has versions.
func (k *loadWorker) locate(g *group, sl *slot, out *loadTables) error {
	c := &k.scratch
	c.reset()
	k.w.encodeEvent(c, sl)
	for i := range c.rows {
		key, value, _ := c.row(int32(i))
		if key[0] != spaceLocator {
			k.rest.set(key, value)
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
		f := &k.fates.changes
		f.begin()
		f.b = appendRecordKey(f.b, billing.AccountDay{Tenant: g.tenant, Account: v.Account, Day: v.Day}, g.id)
		f.value()
		f.b = append(f.b, fate)
		f.put()
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
	k.w.encodeDirty(&k.rest.changes)
	clear(k.w.dirty)
}

// merged adds what the worker folded to the whole write.
func (k *loadWorker) merged(w *write) {
	if k.w == nil {
		return
	}
	for id, outcomes := range k.out {
		for o, n := range outcomes {
			w.positions[id].Outcomes[o] += n
			w.outcomes[o] += n
		}
	}
	for a, change := range k.w.dirty {
		w.dirty[a] |= change
	}
	for t := range k.tenants {
		w.seen(t)
	}
	w.ties += k.w.ties
	w.totals.locators += k.w.totals.locators
	w.totals.locatorDigest.add(k.w.totals.locatorDigest)
}

// choose writes the record of each event that lives: of the versions at one record key the greatest, as
// the winner is the greatest of all, unless the event lives elsewhere.
func (k *loadWorker) choose(ctx context.Context, m *merge, out *loadTables) error {
	var at, best []byte
	var gone, marked bool
	for n := 0; ; n++ {
		if n%looksAtContext == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		key, value, err := m.next()
		if err != nil || !bytes.Equal(key, at) {
			if at != nil && !gone {
				if err := k.record(at, best, marked, out); err != nil {
					return err
				}
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			at, best, gone, marked = append(at[:0], key...), best[:0], false, false
		}
		switch {
		case len(value) == 1:
			gone, marked = gone || value[0] == fateGone, true
		case len(best) == 0 || contentVersion(value).Compare(contentVersion(best)) > 0:
			best = append(best[:0], value...)
		}
	}
}

// record writes a record, and marks its account-day unless that is done.
func (k *loadWorker) record(key, value []byte, marked bool, out *loadTables) error {
	k.kept++
	k.row = append(append(k.row[:0], key...), value...)
	k.digest.add(hashRecord(k.row))
	if !marked && (len(k.marked) == 0 || !bytes.HasPrefix(key, k.marked)) {
		n, err := accountPrefix(key)
		if err != nil {
			return err
		}
		k.marked = append(k.marked[:0], key[:n]...)
		c := &k.rest.changes
		c.begin()
		c.b = append(append(append(c.b, spaceMarker), key[1:n]...), byte(bits.TrailingZeros8(uint8(dedup.Added))))
		c.value()
		c.b = appendMarkerValue(c.b, k.w.sequence, k.w.at)
		c.put()
		if err := k.rest.spillFull(); err != nil {
			return err
		}
	}
	return out.set(key, value)
}

// contentVersion is the version in a record's value.
func contentVersion(value []byte) billing.Version {
	f := fields{b: value[1:]}
	return f.version()
}

// copy writes rows as they are; of those with one key, one.
func (k *loadWorker) copy(ctx context.Context, m *merge, out *loadTables) error {
	var last []byte
	for {
		key, value, err := m.next()
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
