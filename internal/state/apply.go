package state

import (
	"fmt"

	"daybook/internal/billing"
	"daybook/internal/state/format"
)

// Apply writes a batch in one atomic write, durable on return. Records are applied in the order given. An error
// means that nothing was applied, in the database or in memory, and that the batch may be applied again; a failure
// of the write itself ends the process by way of Options.Fatal, because what is on disk is then unknown. Apply does
// not retain b, but may modify the buffers of its parts until it returns.
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
	tx := s.beginLocked(format.EntryBatch)
	if tx.asTables = records >= s.o.BulkRecords; tx.asTables {
		s.awaitFilterLocked(records)
	}
	progress, err := tx.applyAdvances(b)
	if err != nil {
		return Applied{}, err
	}
	reasons, rounded := map[billing.Reason]int64{}, int64(0)
	if err := tx.lookUp(b.Parts); err != nil {
		return Applied{}, err
	}
	for _, p := range b.Parts {
		if p.rows == 0 {
			continue
		}
		partition := progress[p.Partition]
		if partition == nil {
			return Applied{}, p.within(nil)
		}
		if err := p.within(partition.advance); err != nil {
			return Applied{}, err
		}
		outcomes, err := tx.applyPart(p, reasons)
		if err != nil {
			return Applied{}, err
		}
		tx.count(partition.position, &outcomes)
		partition.records += int64(p.rows)
		rounded += p.rounded
	}
	for id, partition := range progress {
		if n := partition.advance.Delivered - partition.records; n != 0 {
			return Applied{}, fmt.Errorf("%w: partition %d of topic %d: %d records more delivered than in the batch", ErrPosition,
				id.Partition, id.Topic, n)
		}
	}
	applied, err := tx.commit()
	if err != nil {
		return Applied{}, err
	}
	applied.Reasons, applied.Rounded = reasons, rounded
	return applied, nil
}

// partitionProgress is what a batch brings of one partition.
type partitionProgress struct {
	advance  *Advance
	position *Position
	records  int64 // applied so far
}

// applyAdvances moves the positions of a batch.
func (tx *transaction) applyAdvances(b *Batch) (map[PartitionID]*partitionProgress, error) {
	progress := make(map[PartitionID]*partitionProgress, len(b.Advances))
	for i := range b.Advances {
		a := &b.Advances[i]
		if progress[a.Partition] != nil {
			return nil, fmt.Errorf("%w: partition %d of topic %d twice in a batch", ErrPosition, a.Partition.Partition, a.Partition.Topic)
		}
		if err := tx.advance(a); err != nil {
			return nil, err
		}
		progress[a.Partition] = &partitionProgress{advance: a, position: tx.positions[a.Partition]}
	}
	for _, c := range b.CaughtUp {
		p := tx.position(c.Partition)
		if p == nil {
			return nil, fmt.Errorf("%w: partition %d of topic %d is caught up but has no position", ErrPosition,
				c.Partition.Partition, c.Partition.Topic)
		}
		p.CaughtUpAt, p.CaughtUpBoot, p.CaughtUpUptime = c.At.UTC(), c.Boot, c.Uptime
	}
	return progress, nil
}

// applyPart applies the records of one part, whose events were looked up, and returns how many had each outcome.
// The rows of the part are added to the transaction without being copied: the part must not change until the
// transaction ends.
func (tx *transaction) applyPart(p *PackedPart, reasons map[billing.Reason]int64) (outcomes [billing.OutcomeCount]int64, err error) {
	for t := range p.tenants {
		tx.addTenant(t)
	}
	tx.totals.LocatorDigest = tx.totals.LocatorDigest.Plus(p.locators)
	tx.totals.RecordDigest = tx.totals.RecordDigest.Plus(p.records)
	memory := tx.s.mu.rows.Lend(p.slabs)
	for c := p.cursor(); c.next(); {
		outcome := billing.New
		r := c.unpackedRecord()
		switch {
		case r == nil:
			if e := tx.events.find(c.hash, c.eventKey()); e != nil {
				outcome, err = tx.applyUpsert(e, &c, memory)
			} else {
				tx.applyOnlyVersion(&c, memory)
			}
		case r.Rejection == nil:
			v := deletedVersion(r.Event.Version)
			outcome, err = tx.resolve(tx.events.find(c.hash, tx.keyOf(&c)), &v, recordRow{})
		default:
			outcome = billing.Quarantined
			reasons[r.Rejection.Reason]++
			tx.quarantineRecord(r)
		}
		if err != nil {
			return outcomes, err
		}
		outcomes[outcome]++
	}
	return outcomes, nil
}

// applyOnlyVersion applies the only version of an event that the store and the batch have. Its rows are stored as
// they are.
func (tx *transaction) applyOnlyVersion(c *partCursor, memory int) {
	t := &tx.totals
	c.setGeneration(t.Generation)
	tx.s.mu.rows.Refer(memory+c.slab, c.at, c.locatorKey, c.locator)
	row := c.recordRow(memory)
	row.appendTo(&tx.s.mu.rows, format.SpaceRecord)
	t.Locators++
	t.Records++
	// A look-up by converted bytes allocates nothing; an AccountDay would cost two strings an event.
	if accountDay := row.row[:c.accountDay]; !tx.added[string(accountDay)] {
		tx.added[string(accountDay)] = true
	}
}

// applyUpsert applies a version of an event that has, or may have, others.
func (tx *transaction) applyUpsert(e *eventEntry, c *partCursor, memory int) (billing.Outcome, error) {
	row := c.recordRow(memory)
	// The part's digests have its rows. encodeEvent adds those that are stored.
	tx.totals.LocatorDigest = tx.totals.LocatorDigest.Minus(format.HashLocator(c.b[c.at:c.recordAt()]))
	tx.totals.RecordDigest = tx.totals.RecordDigest.Minus(format.HashRecord(row.row))
	v, err := tx.s.mu.parser.parse(row.row[:row.key], row.row[row.key:])
	if err != nil {
		return 0, err
	}
	return tx.resolve(e, &v, row)
}

// source is the record's place in the log.
func (r *Record) source() billing.Source {
	if r.Rejection != nil {
		return r.Rejection.Version.Source
	}
	return r.Event.Version.Source
}

// eventID is the event that the record names; a rejection may name none.
func (r *Record) eventID() (billing.TenantID, billing.EventID) {
	if r.Rejection != nil {
		return r.Rejection.Tenant, r.Rejection.Event
	}
	return r.Event.Tenant, r.Event.ID
}

// advance moves one partition's position, or makes it on first sight.
func (tx *transaction) advance(a *Advance) error {
	p := tx.position(a.Partition)
	if p == nil {
		if int(a.Partition.Topic) >= len(tx.s.mu.identity.Topics) {
			return fmt.Errorf("%w: the state has no topic %d", ErrPosition, a.Partition.Topic)
		}
		p = &Position{Partition: a.Partition, FirstOffset: a.FirstOffset, NextOffset: a.FirstOffset, LastOffset: -1}
		tx.positions[a.Partition] = p
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
	tx.spans = append(tx.spans, format.Span{Partition: a.Partition, From: a.From, Next: a.Next})
	return nil
}
