package state

import (
	"fmt"

	"daybook/internal/billing"
	"daybook/internal/extsort"
	"daybook/internal/state/format"
)

// Apply writes a batch in one atomic write, durable on return. Records are applied in the order given. An error
// means that nothing was applied, in the database or in memory, and that the batch may be applied again; a failure of the
// write itself ends the process by way of Options.Fatal, because what is on disk is then unknown. Apply does not retain b,
// but may modify the buffers of its parts until it returns.
func (s *Store) Apply(b *Batch) (Applied, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return Applied{}, errClosed
	}
	records := b.Len()
	if s.mu.unfiltered && records > 0 {
		s.mu.unfiltered = false
		s.startFilters()
	}
	w := s.beginLocked(format.EntryBatch)
	if w.bulk = records >= s.o.BulkRecords; w.bulk {
		s.awaitFilterLocked(records)
	}
	partitions := make(map[PartitionID]*taken, len(b.Advances))
	for i := range b.Advances {
		a := &b.Advances[i]
		if partitions[a.Partition] != nil {
			return Applied{}, fmt.Errorf("%w: partition %d of topic %d twice in a batch", ErrPosition, a.Partition.Partition, a.Partition.Topic)
		}
		if err := w.advance(a); err != nil {
			return Applied{}, err
		}
		partitions[a.Partition] = &taken{advance: a, position: w.positions[a.Partition]}
	}
	for _, c := range b.CaughtUp {
		p := w.position(c.Partition)
		if p == nil {
			return Applied{}, fmt.Errorf("%w: partition %d of topic %d is caught up but has no position", ErrPosition, c.Partition.Partition, c.Partition.Topic)
		}
		p.CaughtUpAt, p.CaughtUpBoot, p.CaughtUpUptime = c.At.UTC(), c.Boot, c.Uptime
	}
	applied := Applied{Reasons: map[billing.Reason]int64{}}
	if err := w.lookUp(b.Parts); err != nil {
		return Applied{}, err
	}
	for _, p := range b.Parts {
		if p.rows == 0 {
			continue
		}
		of := partitions[p.Partition]
		if of == nil {
			return Applied{}, p.within(nil)
		}
		if err := p.within(of.advance); err != nil {
			return Applied{}, err
		}
		outcomes, err := w.part(p, applied.Reasons)
		if err != nil {
			return Applied{}, err
		}
		w.count(of.position, &outcomes)
		of.records += int64(p.rows)
		applied.Rounded += p.rounded
	}
	for id, of := range partitions {
		if n := of.advance.Delivered - of.records; n != 0 {
			return Applied{}, fmt.Errorf("%w: partition %d of topic %d: %d records more delivered than in the batch", ErrPosition, id.Partition, id.Topic, n)
		}
	}
	done, err := w.finish()
	if err != nil {
		return Applied{}, err
	}
	done.Reasons, done.Rounded = applied.Reasons, applied.Rounded
	return done, nil
}

// taken is what a batch takes from one partition.
type taken struct {
	advance  *Advance
	position *Position
	records  int64
}

// part applies the records of one partition.
func (w *write) part(p *Part, reasons map[billing.Reason]int64) (outcomes [billing.OutcomeCount]int64, err error) {
	for t := range p.tenants {
		w.seen(t)
	}
	w.totals.LocatorDigest.Add(p.locators)
	w.totals.RecordDigest.Add(p.records)
	changes := &w.s.mu.changes
	memory := changes.Lend(p.slabs)
	for c := p.cursor(); c.step(); {
		outcome := billing.New
		if r := c.rareRecord(); r == nil {
			if sl := w.slots.find(c.hash, c.eventKey()); sl != nil {
				outcome, err = w.oneOf(sl, &c)
			} else {
				w.alone(changes, memory, &c)
			}
		} else if r.Rejection == nil {
			outcome, err = w.event(w.slots.find(c.hash, w.rareKey(r)), &r.Event)
		} else {
			outcome = billing.Quarantined
			reasons[r.Rejection.Reason]++
			w.rejected(r, r.source())
		}
		if err != nil {
			return outcomes, err
		}
		outcomes[outcome]++
	}
	return outcomes, nil
}

// rareKey is the key of the event that a rejection or a delete names. It is valid until the next one.
func (w *write) rareKey(r *Record) []byte {
	t, id := r.Event.Tenant, r.Event.ID
	if r.Rejection != nil {
		t, id = r.Rejection.Tenant, r.Rejection.Event
	}
	w.key = format.AppendEventKey(w.key[:0], t, id)
	return w.key
}

// alone applies the only version of an event that the store and the batch have. Its rows are as they are to be stored.
func (w *write) alone(changes *extsort.Rows, memory int, c *partCursor) {
	t := &w.totals
	c.setGeneration(t.Generation)
	record := c.recordAt()
	changes.Refer(memory+c.slab, c.at, c.locatorKey, c.locator)
	changes.Refer(memory+c.slab, record, c.recordKey, c.record)
	t.Locators++
	t.Records++
	if accountDay := c.b[record : record+int(c.accountDay)]; !w.added[string(accountDay)] {
		w.added[string(accountDay)] = true
	}
}

// oneOf applies a version of an event that has, or may have, others.
func (w *write) oneOf(sl *slot, c *partCursor) (billing.Outcome, error) {
	record := c.recordAt()
	w.totals.LocatorDigest.Sub(format.HashLocator(c.b[c.at:record]))
	w.totals.RecordDigest.Sub(format.HashRecord(c.b[record:c.next]))
	e, err := c.event(&w.s.mu.words)
	if err != nil {
		return 0, err
	}
	return w.event(sl, e)
}

// source is the record's place in the log.
func (r *Record) source() billing.Source {
	if r.Rejection != nil {
		return r.Rejection.Version.Source
	}
	return r.Event.Version.Source
}

// advance moves one partition's position, or makes it on first sight.
func (w *write) advance(a *Advance) error {
	p := w.position(a.Partition)
	if p == nil {
		if int(a.Partition.Topic) >= len(w.s.mu.identity.Topics) {
			return fmt.Errorf("%w: the state has no topic %d", ErrPosition, a.Partition.Topic)
		}
		p = &Position{Partition: a.Partition, FirstOffset: a.FirstOffset, NextOffset: a.FirstOffset, LastOffset: -1}
		w.positions[a.Partition] = p
	}
	if a.From != p.NextOffset || a.Next < a.From {
		return fmt.Errorf("%w: partition %d of topic %d: batch of offsets %d to %d, the state is at %d", ErrPosition,
			a.Partition.Partition, a.Partition.Topic, a.From, a.Next, p.NextOffset)
	}
	p.NextOffset = a.Next
	p.LeaderEpoch = a.LeaderEpoch
	p.Delivered += a.Delivered
	p.Control += a.Control
	p.Holes += a.Holes
	p.HolesExplained = p.HolesExplained || a.HolesExplained
	if a.Delivered > 0 {
		p.LastOffset, p.LastDigest = a.LastOffset, a.LastDigest
	}
	w.spans = append(w.spans, format.Span{Partition: a.Partition, From: a.From, Next: a.Next})
	return nil
}
