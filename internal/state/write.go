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
	"daybook/internal/extsort"
	"daybook/internal/state/format"
)

// write is one atomic write in the making. It reads the store and its own
// earlier effects; nothing is visible before finish.
type write struct {
	s         *Store
	kind      format.EntryKind
	sequence  Sequence
	at        time.Time
	outcomes  [billing.OutcomeCount]int64
	ties      int64
	totals    format.Totals
	bulk      bool  // written as tables
	load      *Load // what the write belongs to, if it is a load's
	spans     []format.Span
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

func placeOf(src billing.Source) place { return place{format.PartitionOf(src), src.Offset} }

// held is a quarantined record that the write adds, changes or takes away.
type held struct {
	q          *Quarantined
	was        *Quarantined // nil: added by this write
	key, value []byte       // of an added one
	gone       bool
}

// beginLocked starts a write. The apply lock is held until finish, or until it is dropped.
func (s *Store) beginLocked(kind format.EntryKind) *write {
	s.mu.slots.reset()
	s.mu.changes.Reset()
	w := &write{
		s:          s,
		kind:       kind,
		sequence:   s.mu.journal.Head.Sequence + 1,
		at:         s.o.Now().UTC(),
		totals:     s.mu.journal.Totals,
		positions:  map[PartitionID]*Position{},
		tenants:    map[billing.TenantID]bool{},
		slots:      &s.mu.slots,
		added:      map[string]bool{},
		dirty:      map[billing.AccountDay]dedup.Change{},
		quarantine: map[place]*held{},
	}
	beginGeneration(&w.totals, s.o.GenerationEvents)
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
	w.key = format.AppendEventKey(w.key[:0], t, id)
	hash := xxh3.Hash128(w.key)
	if sl := w.slots.find(hash, w.key); sl != nil {
		return sl, nil
	}
	sl, err := w.slots.add(hash, w.key)
	if err != nil || !w.s.filter.add(hash) {
		return sl, err
	}
	if sl.prev, err = w.s.view.stored(w.totals.Generation, t, id); sl.prev != nil {
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
	w.totals.Quarantined++
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
		w.key = format.AppendByEventPrefix(w.key[:0], sl.tenant, sl.id)
		prefix := w.key
		if !w.s.held.has(xxh3.Hash128(prefix)) {
			continue
		}
		var places []billing.Source
		err := w.s.view.scanPrefix(prefix, func(key, _ []byte) error {
			p, offset, err := format.ParseSource(key[len(prefix):])
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

// finish makes the write durable and applies it to the store's memory. An error means that nothing was written
// and that memory is as it was. What fails later ends the process by way of Options.Fatal.
func (w *write) finish() (Applied, error) {
	s := w.s
	started := s.o.Now()
	if err := w.supersede(); err != nil {
		return Applied{}, err
	}
	for _, p := range w.positions {
		if err := p.Conserved(); err != nil {
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
		c.Set(format.TenantKey(format.SpaceTenant, t), nil)
	}
	for i := range w.decisions {
		d := &w.decisions[i]
		c.Begin()
		c.Buf = append(c.Buf, format.SequenceKey(format.SpaceDecision, d.Number)...)
		c.EndKey()
		var err error
		if c.Buf, err = format.AppendDecisionValue(c.Buf, d); err != nil {
			return Applied{}, err
		}
		c.End()
		w.totals.Decisions++
	}
	if w.identity != nil {
		text, err := format.AppendIdentityValue(nil, w.identity)
		if err != nil {
			return Applied{}, err
		}
		c.Set([]byte{format.SpaceIdentity}, text)
	}
	for _, id := range format.SortedPartitions(w.positions) {
		c.Begin()
		c.Buf = append(c.Buf, format.PositionKey(id)...)
		c.EndKey()
		c.Buf = format.AppendPositionValue(c.Buf, w.positions[id])
		c.End()
	}
	e := format.Entry{Sequence: w.sequence, Kind: w.kind, At: w.at, Spans: w.spans, Outcomes: w.outcomes, Totals: w.totals}
	c.Begin()
	c.Buf = append(c.Buf, format.SequenceKey(format.SpaceJournal, uint64(w.sequence))...)
	c.EndKey()
	c.Buf = e.AppendValue(c.Buf, s.mu.journal.Head.Digest)
	c.End()
	next := s.mu.journal.Clone()
	if err := next.Fold(&e); err != nil {
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
	s.foldLocked()
	return applied, nil
}

// markAdded marks the account-days of events that are alone.
func (w *write) markAdded() error {
	for prefix := range w.added {
		k, err := format.ParseDayKey([]byte(prefix))
		if err != nil {
			return err
		}
		account, _, err := format.CutKeyString(k.Rest)
		if err != nil {
			return err
		}
		w.dirty[billing.AccountDay{Tenant: billing.TenantID(k.Tenant), Day: k.Day, Account: billing.AccountID(account)}] |= dedup.Added
	}
	return nil
}

// encodeDirty writes the markers of the account-days that are dirty.
func (w *write) encodeDirty(c *extsort.Rows) {
	for a, change := range w.dirty {
		for ; change != 0; change &= change - 1 {
			c.Begin()
			c.Buf = format.AppendMarkerKey(c.Buf, a, bits.TrailingZeros8(uint8(change)))
			c.EndKey()
			c.Buf = format.AppendMarkerValue(c.Buf, w.sequence, w.at)
			c.End()
		}
	}
}

// encodeEvent writes the rows of one event whose winner changed.
func (w *write) encodeEvent(c *extsort.Rows, sl *slot) {
	t, prev := &w.totals, sl.prev
	g := t.Generation
	if prev != nil {
		g = prev.generation
	}
	c.Begin()
	c.Buf = format.AppendLocatorKey(c.Buf, g, sl.tenant, sl.id)
	c.EndKey()
	c.Buf = format.AppendLocatorValue(c.Buf, &sl.cur)
	if row := c.Built(); prev == nil {
		t.Locators++
		t.LocatorDigest.Add(format.HashLocator(row))
		c.End()
	} else if w.key = format.AppendLocatorValue(append(w.key[:0], c.BuiltKey()...), &prev.winner); bytes.Equal(row, w.key) {
		c.Cancel() // it lies where it lay
	} else {
		t.LocatorDigest.Sub(format.HashLocator(w.key))
		t.LocatorDigest.Add(format.HashLocator(row))
		c.End()
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
		t.RecordDigest.Sub(prev.row)
		t.Records--
		if !stays {
			c.Begin()
			c.Buf = format.AppendRecordKey(c.Buf, from, sl.id)
			c.EndDelete()
		}
		if !stays && prev.amended {
			c.Begin()
			c.Buf = format.AppendOverlayKey(c.Buf, from, sl.id)
			c.EndDelete()
		}
	}
	if is && sl.event != nil {
		c.Begin()
		if stays {
			c.Buf = format.AppendOverlayKey(c.Buf, to, sl.id)
		} else {
			c.Buf = format.AppendRecordKey(c.Buf, to, sl.id)
		}
		c.EndKey()
		c.Buf = format.AppendRecordValue(c.Buf, sl.event)
		t.RecordDigest.Add(format.HashRecord(c.Built()))
		t.Records++
		c.End()
	}
	wasTied, isTied := was && prev.winner.Tied, is && sl.cur.Tied
	if wasTied && (!isTied || from.Day != to.Day) {
		c.Begin()
		c.Buf = format.AppendTieKey(c.Buf, sl.tenant, from.Day, sl.id)
		c.EndDelete()
	}
	if isTied && (!wasTied || from.Day != to.Day) {
		c.Begin()
		c.Buf = format.AppendTieKey(c.Buf, sl.tenant, to.Day, sl.id)
		c.EndKey()
		c.End()
	}
}

// encodeQuarantine writes the rows of one quarantined record, and marks its
// account-day when it begins or ceases to be withheld.
func (w *write) encodeQuarantine(c *extsort.Rows, h *held) {
	src := h.q.Source
	was := h.was != nil
	if h.gone && !was {
		return
	}
	withheld, withholds := was && h.was.Withholds(), !h.gone && h.q.Withholds()
	indexed, index := was && h.was.Supersedable(), !h.gone && h.q.Supersedable()
	if withheld != withholds {
		r := &h.q.Rejection
		if withheld {
			r = &h.was.Rejection
		}
		a, _ := format.NamedAccountDay(r)
		w.dirty[a] |= dedup.Withheld
	}
	if h.gone {
		c.Delete(format.QuarantineKey(format.SpaceQuarantine, src))
		c.Delete(format.QuarantineKey(format.SpacePayload, src))
	} else {
		c.Begin()
		c.Buf = append(c.Buf, format.QuarantineKey(format.SpaceQuarantine, src)...)
		c.EndKey()
		c.Buf = format.AppendQuarantineValue(c.Buf, h.q)
		c.End()
	}
	if !was {
		c.Begin()
		c.Buf = append(c.Buf, format.QuarantineKey(format.SpacePayload, src)...)
		c.EndKey()
		c.Buf = format.AppendPayloadValue(c.Buf, h.key, h.value)
		c.End()
	}
	w.encodeIndex(c, indexed, index, h, func(q *Quarantined) []byte {
		return format.AppendByEventPrefix(nil, q.Rejection.Tenant, q.Rejection.Event)
	})
	w.encodeIndex(c, withheld, withholds, h, func(q *Quarantined) []byte {
		a, _ := q.AccountDay()
		return format.AppendAccountDayPrefix(nil, format.SpaceByDay, a)
	})
}

// encodeIndex moves one index row of a quarantined record from what it was to what it is.
func (w *write) encodeIndex(c *extsort.Rows, was, is bool, h *held, prefix func(*Quarantined) []byte) {
	var before, now []byte
	src := h.q.Source
	if was {
		before = format.AppendSource(prefix(h.was), format.PartitionOf(src), src.Offset)
	}
	if is {
		now = prefix(h.q)
		if now[0] == format.SpaceByEvent {
			w.s.held.add(xxh3.Hash128(now))
		}
		now = format.AppendSource(now, format.PartitionOf(src), src.Offset)
	}
	if slices.Equal(before, now) {
		return
	}
	if was {
		c.Delete(before)
	}
	if is {
		c.Set(now, nil)
	}
}
