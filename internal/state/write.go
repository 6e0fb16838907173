package state

import (
	"bytes"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"time"

	"github.com/zeebo/xxh3"

	"daybook/internal/billing"
	"daybook/internal/dedup"
)

// write is one atomic write in the making. It reads the store and its own
// earlier effects; nothing is visible before finish.
type write struct {
	s         *Store
	kind      entryKind
	sequence  Sequence
	at        time.Time
	outcomes  [billing.OutcomeCount]int64
	ties      int64
	totals    totals
	bulk      bool  // written as tables
	load      *Load // what the write belongs to, if it is a load's
	spans     []span
	positions map[PartitionID]*Position // changed ones
	tenants   map[billing.TenantID]bool // first seen
	identity  *Identity                 // when changed
	decisions []Decision

	slots      *slots
	key        []byte          // scratch
	added      map[string]bool // the account-days of events that are alone, by how their records' keys begin
	dirty      map[billing.AccountDay]dedup.Change
	quarantine map[place]*held
}

// place is where a record is in the log.
type place struct {
	PartitionID
	offset int64
}

func placeOf(src billing.Source) place { return place{partitionOf(src), src.Offset} }

// held is a quarantined record that the write adds, changes or takes away.
type held struct {
	q          *Quarantined
	was        *Quarantined // nil: added by this write
	key, value []byte       // of an added one
	gone       bool
}

// beginLocked starts a write. The apply lock is held until finish, or until it is dropped.
func (s *Store) beginLocked(kind entryKind) *write {
	s.mu.slots.reset()
	s.mu.changes.reset()
	w := &write{
		s:          s,
		kind:       kind,
		sequence:   s.mu.journal.head.Sequence + 1,
		at:         s.o.Now().UTC(),
		totals:     s.mu.journal.totals,
		positions:  map[PartitionID]*Position{},
		tenants:    map[billing.TenantID]bool{},
		slots:      &s.mu.slots,
		added:      map[string]bool{},
		dirty:      map[billing.AccountDay]dedup.Change{},
		quarantine: map[place]*held{},
	}
	w.totals.begin(s.o.GenerationEvents)
	return w
}

// position is a partition's position to change, nil if there is none.
func (w *write) position(id PartitionID) *Position {
	if p, ok := w.positions[id]; ok {
		return p
	}
	stored, ok := w.s.mu.positions[id]
	if !ok {
		return nil
	}
	p := *stored
	w.positions[id] = &p
	return &p
}

// count adds outcomes of records of p.
func (w *write) count(p *Position, outcomes *[billing.OutcomeCount]int64) {
	for o, n := range outcomes {
		p.Outcomes[o] += n
		w.outcomes[o] += n
	}
}

func (w *write) seen(t billing.TenantID) {
	if t != "" && !w.s.mu.tenants[t] && !w.tenants[t] {
		w.tenants[t] = true
	}
}

// slot finds the event's slot, or makes one with the winner that the store holds.
func (w *write) slot(t billing.TenantID, id billing.EventID) (*slot, error) {
	w.key = appendEventKey(w.key[:0], t, id)
	hash := xxh3.Hash128(w.key)
	if sl := w.slots.find(hash, w.key); sl != nil {
		return sl, nil
	}
	sl, err := w.slots.add(hash, w.key)
	if err != nil || !w.s.filter.add(hash) {
		return sl, err
	}
	if sl.prev, err = w.s.view.stored(w.totals.generation, t, id); sl.prev != nil {
		sl.hold()
	}
	return sl, err
}

// event applies one version to its event's slot.
func (w *write) event(sl *slot, e *billing.Event) (billing.Outcome, error) {
	cost := func() (billing.Money, error) {
		switch {
		case sl.cur.Deleted:
			return billing.Money{}, nil
		case sl.event != nil:
			return sl.event.Cost, nil
		}
		return sl.prev.cost, nil
	}
	tied := sl.cur.Tied
	// Most events have one version, and nothing to compare its content with.
	var digest billing.Digest
	alone := !sl.has && e.Op != billing.Delete
	if !alone {
		digest = e.Digest()
		if sl.undigested {
			sl.cur.Digest = sl.event.Digest()
		}
	}
	sl.undigested = alone
	res, err := dedup.Resolve(sl.cur, sl.has, e, digest, cost)
	if err != nil {
		return 0, fmt.Errorf("resolve event: %w", err)
	}
	for _, t := range res.Dirty[:res.N] {
		w.dirty[t.AccountDay] |= t.Change
	}
	if res.Changed {
		if res.Put || res.Raise {
			sl.event = e
		} else if res.Winner.Deleted {
			sl.event = nil
		}
		if res.Winner.Tied && !tied {
			w.ties++
		}
		sl.cur, sl.has, sl.changed = res.Winner, true, true
	}
	w.seen(e.Tenant)
	return res.Outcome, nil
}

// rejected puts a record into quarantine. Whether it is superseded at once is
// settled in finish, when all winners are known.
func (w *write) rejected(r *Record, src billing.Source) {
	q := &Quarantined{
		Source:    src,
		Rejection: *r.Rejection,
		Status:    QuarantineOpen,
		ArrivedAt: w.at,
		Size:      r.Size,
	}
	w.quarantine[placeOf(src)] = &held{q: q, key: r.Key, value: r.Value}
	w.totals.quarantined++
	w.seen(r.Rejection.Tenant)
}

// held finds a quarantined record to change.
func (w *write) held(src billing.Source) (*held, error) {
	if h, ok := w.quarantine[placeOf(src)]; ok {
		return h, nil
	}
	q, found, err := w.s.view.quarantined(src, false)
	if err != nil || !found {
		return nil, err
	}
	was := *q
	h := &held{q: q, was: &was}
	w.quarantine[placeOf(src)] = h
	return h, nil
}

// supersede settles which quarantined records a greater accepted version has
// overtaken. Done once, with the final winners, it does not depend on the
// order within the write.
func (w *write) supersede() error {
	for i := range w.slots.all {
		sl := &w.slots.all[i]
		if !sl.changed || w.s.held.empty() {
			continue
		}
		w.key = appendByEventKey(w.key[:0], sl.tenant, sl.id)
		prefix := w.key
		if !w.s.held.has(xxh3.Hash128(prefix)) {
			continue
		}
		var places []billing.Source
		err := w.s.view.scanPrefix(prefix, func(key, _ []byte) error {
			p, offset, err := keySource(key[len(prefix):])
			places = append(places, billing.Source{Topic: p.Topic, Partition: p.Partition, Offset: offset})
			return err
		})
		if err != nil {
			return err
		}
		for _, src := range places {
			h, err := w.held(src)
			if err != nil {
				return err
			}
			if h == nil {
				return fmt.Errorf("%w: index names a quarantined record that is not there", ErrDamaged)
			}
			w.overtake(h, sl)
		}
	}
	for _, h := range w.quarantine {
		if r := &h.q.Rejection; !h.gone && r.Tenant != "" && r.Event != "" {
			sl, err := w.slot(r.Tenant, r.Event)
			if err != nil {
				return err
			}
			w.overtake(h, sl)
		}
	}
	return nil
}

func (w *write) overtake(h *held, sl *slot) {
	if sl.has && !h.gone && sl.cur.Version.Compare(h.q.Rejection.Version) > 0 {
		h.q.Status = QuarantineSuperseded
	}
}

// finish encodes the write, makes it durable and takes it over into the store's memory.
func (w *write) finish() (Applied, error) {
	s := w.s
	started := s.o.Now()
	if err := w.supersede(); err != nil {
		return Applied{}, err
	}
	for _, p := range w.positions {
		if err := p.conserved(); err != nil {
			return Applied{}, fmt.Errorf("%w: %w", ErrPosition, err)
		}
	}
	c := &s.mu.changes
	if err := w.markAdded(); err != nil {
		return Applied{}, err
	}
	for i := range w.slots.all {
		if sl := &w.slots.all[i]; sl.changed {
			w.encodeEvent(c, sl)
		}
	}
	for _, h := range w.quarantine {
		w.encodeQuarantine(c, h)
	}
	w.encodeDirty(c)
	for t := range w.tenants {
		c.set(tenantKey(spaceTenant, t), nil)
	}
	for i := range w.decisions {
		d := &w.decisions[i]
		c.begin()
		c.b = append(c.b, sequenceKey(spaceDecision, d.Number)...)
		c.value()
		var err error
		if c.b, err = appendDecision(c.b, d); err != nil {
			return Applied{}, err
		}
		c.put()
		w.totals.decisions++
	}
	if w.identity != nil {
		text, err := w.identity.encode()
		if err != nil {
			return Applied{}, err
		}
		c.set([]byte{spaceIdentity}, text)
	}
	for _, id := range sortedPartitions(w.positions) {
		c.begin()
		c.b = append(c.b, positionKey(id)...)
		c.value()
		c.b = appendPosition(c.b, w.positions[id])
		c.put()
	}
	e := entry{sequence: w.sequence, kind: w.kind, at: w.at, spans: w.spans, outcomes: w.outcomes, totals: w.totals}
	c.begin()
	c.b = append(c.b, sequenceKey(spaceJournal, uint64(w.sequence))...)
	c.value()
	c.b = e.appendEntry(c.b, s.mu.journal.head.Digest)
	c.put()
	next := s.mu.journal.clone()
	if err := next.fold(&e); err != nil {
		return Applied{}, err
	}

	var err error
	switch {
	case w.load != nil:
		err = w.load.commit(c)
	case w.bulk:
		err = s.commitTables(c)
	default:
		s.commit(c)
	}
	if err != nil {
		return Applied{}, err
	}
	s.mu.journal = next
	s.mu.unfolded++
	maps.Copy(s.mu.positions, w.positions)
	maps.Copy(s.mu.tenants, w.tenants)
	if w.identity != nil {
		s.mu.identity = *w.identity
	}
	s.mu.decisions += uint64(len(w.decisions))
	s.metrics.writes.Inc()
	s.metrics.writeTime.Observe(s.o.Now().Sub(started).Seconds())
	s.noteLocked()
	applied := Applied{Sequence: w.sequence, Outcomes: w.outcomes, Ties: w.ties, Dirty: len(w.dirty)}
	return applied, s.foldLocked()
}

// markAdded marks the account-days of events that are alone.
func (w *write) markAdded() error {
	for prefix := range w.added {
		k, err := parseDayKey([]byte(prefix))
		if err != nil {
			return err
		}
		account, _, err := keyString(k.rest)
		if err != nil {
			return err
		}
		w.dirty[billing.AccountDay{Tenant: billing.TenantID(k.tenant), Day: k.day, Account: billing.AccountID(account)}] |= dedup.Added
	}
	return nil
}

// encodeDirty writes the markers of the account-days that are dirty.
func (w *write) encodeDirty(c *changes) {
	for a, change := range w.dirty {
		for ; change != 0; change &= change - 1 {
			c.begin()
			c.b = appendMarkerKey(c.b, a, bits.TrailingZeros8(uint8(change)))
			c.value()
			c.b = appendMarkerValue(c.b, w.sequence, w.at)
			c.put()
		}
	}
}

// encodeEvent writes the rows of one event whose winner changed.
func (w *write) encodeEvent(c *changes, sl *slot) {
	t, prev := &w.totals, sl.prev
	g := t.generation
	if prev != nil {
		g = prev.generation
	}
	c.begin()
	c.b = appendLocatorKey(c.b, g, sl.tenant, sl.id)
	c.value()
	c.b = appendLocator(c.b, &sl.cur)
	if row := c.b[c.at:]; prev == nil {
		t.locators++
		t.locatorDigest.add(hashLocator(row))
		c.put()
	} else if w.key = appendLocator(append(w.key[:0], c.b[c.at:c.val]...), &prev.winner); bytes.Equal(row, w.key) {
		c.cancel() // it lies where it lay
	} else {
		t.locatorDigest.sub(hashLocator(w.key))
		t.locatorDigest.add(hashLocator(row))
		c.put()
	}

	if prev == nil {
		prev = &stored{winner: dedup.Winner{Deleted: true}}
	}
	was, is := !prev.winner.Deleted, !sl.cur.Deleted
	from := billing.AccountDay{Tenant: sl.tenant, Account: prev.winner.Account, Day: prev.winner.Day}
	to := billing.AccountDay{Tenant: sl.tenant, Account: sl.cur.Account, Day: sl.cur.Day}
	// An event that only came to tie keeps its record.
	stays := was && is && from == to
	if kept := is && sl.event == nil; was && !kept {
		t.recordDigest.sub(prev.row)
		t.records--
		if !stays {
			c.begin()
			c.b = appendRecordKey(c.b, from, sl.id)
			c.remove()
		}
		if !stays && prev.amended {
			c.begin()
			c.b = appendAmendedKey(c.b, from, sl.id)
			c.remove()
		}
	}
	if is && sl.event != nil {
		c.begin()
		if stays {
			c.b = appendAmendedKey(c.b, to, sl.id)
		} else {
			c.b = appendRecordKey(c.b, to, sl.id)
		}
		c.value()
		c.b = appendContent(c.b, sl.event)
		t.recordDigest.add(hashRecord(c.b[c.at:]))
		t.records++
		c.put()
	}
	wasTied, isTied := was && prev.winner.Tied, is && sl.cur.Tied
	if wasTied && (!isTied || from.Day != to.Day) {
		c.begin()
		c.b = appendTieKey(c.b, sl.tenant, from.Day, sl.id)
		c.remove()
	}
	if isTied && (!wasTied || from.Day != to.Day) {
		c.begin()
		c.b = appendTieKey(c.b, sl.tenant, to.Day, sl.id)
		c.value()
		c.put()
	}
}

// encodeQuarantine writes the rows of one quarantined record, and marks its
// account-day when it begins or ceases to be withheld.
func (w *write) encodeQuarantine(c *changes, h *held) {
	src := h.q.Source
	was := h.was != nil
	if h.gone && !was {
		return
	}
	withheld, withholds := was && h.was.withholds(), !h.gone && h.q.withholds()
	indexed, index := was && h.was.supersedable(), !h.gone && h.q.supersedable()
	if withheld != withholds {
		r := &h.q.Rejection
		if withheld {
			r = &h.was.Rejection
		}
		a, _ := named(r)
		w.dirty[a] |= dedup.Withheld
	}
	if h.gone {
		c.drop(quarantineKey(spaceQuarantine, src))
		c.drop(quarantineKey(spacePayload, src))
	} else {
		c.begin()
		c.b = append(c.b, quarantineKey(spaceQuarantine, src)...)
		c.value()
		c.b = appendQuarantined(c.b, h.q)
		c.put()
	}
	if !was {
		c.begin()
		c.b = append(c.b, quarantineKey(spacePayload, src)...)
		c.value()
		c.b = appendPayload(c.b, h.key, h.value)
		c.put()
	}
	w.encodeIndex(c, indexed, index, h, func(q *Quarantined) []byte {
		return appendByEventKey(nil, q.Rejection.Tenant, q.Rejection.Event)
	})
	w.encodeIndex(c, withheld, withholds, h, func(q *Quarantined) []byte {
		a, _ := q.AccountDay()
		return appendAccountDayKey(nil, spaceByDay, a)
	})
}

// encodeIndex moves one index row of a quarantined record from what it was to what it is.
func (w *write) encodeIndex(c *changes, was, is bool, h *held, prefix func(*Quarantined) []byte) {
	var before, now []byte
	src := h.q.Source
	if was {
		before = appendKeySource(prefix(h.was), partitionOf(src), src.Offset)
	}
	if is {
		now = prefix(h.q)
		if now[0] == spaceByEvent {
			w.s.held.add(xxh3.Hash128(now))
		}
		now = appendKeySource(now, partitionOf(src), src.Offset)
	}
	if slices.Equal(before, now) {
		return
	}
	if was {
		c.drop(before)
	}
	if is {
		c.set(now, nil)
	}
}
