package state

import (
	"fmt"

	"daybook/internal/billing"
)

// Apply writes a batch: all of it or nothing, synced. Its only error that may
// be retried is one returned before anything was written. Records are applied
// in the order given; the batch's memory is not kept.
func (s *Store) Apply(b *Batch) (Applied, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return Applied{}, errClosed
	}
	if s.mu.unfiltered && len(b.Records) > 0 {
		s.mu.unfiltered = false
		s.startFilters()
	}
	w := s.beginLocked(entryBatch, len(b.Records))
	if w.bulk = len(b.Records) >= s.o.BulkRecords; w.bulk {
		s.awaitFilterLocked(len(b.Records))
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
		p.CaughtUpAt = c.At.UTC()
	}
	applied := Applied{Reasons: map[billing.Reason]int64{}}
	hashes, err := w.lookUp(b.Records)
	if err != nil {
		return Applied{}, err
	}
	var of *taken // the partition of the record before, mostly of this one too
	for i := range b.Records {
		r := &b.Records[i]
		src := r.source()
		id := partitionOf(src)
		if of == nil || of.advance.Partition != id {
			of = partitions[id]
		}
		if of == nil || src.Offset < of.advance.From || src.Offset >= of.advance.Next {
			return Applied{}, fmt.Errorf("%w: record %d of partition %d of topic %d is outside of its batch", ErrPosition, src.Offset, id.Partition, id.Topic)
		}
		of.records++
		outcome := billing.Quarantined
		if r.Rejection != nil {
			w.rejected(r, src)
			applied.Reasons[r.Rejection.Reason]++
		} else {
			e := &r.Event
			if outcome, err = w.event(w.slots.at(hashes[i], e.Tenant, e.ID), e); err != nil {
				return Applied{}, err
			}
			if r.Rounded {
				applied.Rounded++
			}
		}
		w.outcomes[outcome]++
		of.position.Outcomes[outcome]++
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
	w.spans = append(w.spans, span{a.Partition, a.From, a.Next})
	return nil
}
