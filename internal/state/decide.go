package state

import (
	"fmt"

	"daybook/internal/billing"
	"daybook/internal/state/format"
)

// Decide writes a decision and its effects (resolved quarantine becomes dirty account-days; an accepted
// gap moves the position to Decision.Next and counts as the position's Gaps) and returns its number.
func (s *Store) Decide(d Decision) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return 0, errClosed
	}
	w := s.beginLocked(format.EntryDecision)
	number := w.decide(d)
	switch d.Kind {
	case GapAccepted:
		if err := w.acceptGap(&d); err != nil {
			return 0, err
		}
	case QuarantineSettled:
		for _, src := range d.Records {
			if err := w.settle(src, number); err != nil {
				return 0, err
			}
		}
	case EmptyDayAllowed, DecisionsCarried:
	default:
		return 0, fmt.Errorf("decide: no such decision: %q", d.Kind)
	}
	_, err := w.finish()
	return number, err
}

// decide adds a decision to the write and numbers it.
func (w *write) decide(d Decision) uint64 {
	d.Number = w.s.mu.decisions + uint64(len(w.decisions)) + 1
	if d.When.IsZero() {
		d.When = w.at
	}
	w.decisions = append(w.decisions, d)
	return d.Number
}

func (w *write) acceptGap(d *Decision) error {
	id := PartitionID{Topic: d.Topic, Partition: d.Partition}
	p := w.position(id)
	if p == nil {
		if int(id.Topic) >= len(w.s.mu.identity.Topics) {
			return fmt.Errorf("accept gap: %w: the state has no topic %d", ErrPosition, id.Topic)
		}
		p = &Position{Partition: id, FirstOffset: d.From, NextOffset: d.From, LastOffset: -1, LeaderEpoch: -1}
		w.positions[id] = p
	}
	if d.From != p.NextOffset || d.Next <= d.From {
		return fmt.Errorf("accept gap: %w: offsets %d to %d, the state is at %d", ErrPosition, d.From, d.Next, p.NextOffset)
	}
	p.Gaps += d.Next - d.From
	p.NextOffset = d.Next
	w.spans = append(w.spans, format.Span{Partition: id, From: d.From, Next: d.Next})
	return nil
}

// settle resolves one quarantined record. One that was superseded stays so.
func (w *write) settle(src billing.Source, number uint64) error {
	h, err := w.held(src)
	if err != nil {
		return err
	}
	if h == nil {
		return fmt.Errorf("%w: no quarantined record at topic %d, partition %d, offset %d", ErrNoRecord, src.Topic, src.Partition, src.Offset)
	}
	if h.q.Status == QuarantineOpen {
		h.q.Status = QuarantineResolved
	}
	h.q.Decision = number
	return nil
}

// AddTopics appends topics to the identity. Ordinals must go on where the identity's end.
func (s *Store) AddTopics(topics []Topic) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return errClosed
	}
	id := s.mu.identity
	id.Topics = append([]Topic(nil), id.Topics...)
	for _, t := range topics {
		for _, known := range id.Topics {
			if known.Name == t.Name {
				return fmt.Errorf("add topic: the state has topic %q already", t.Name)
			}
		}
		t.Ordinal = billing.TopicOrdinal(len(id.Topics))
		id.Topics = append(id.Topics, t)
	}
	w := s.beginLocked(format.EntryTopics)
	w.identity = &id
	_, err := w.finish()
	return err
}

// SetCovered tells the store up to where a tenant's newest release covers; for status and metrics alone.
func (s *Store) SetCovered(t billing.TenantID, seq Sequence) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return errClosed
	}
	c := &s.mu.changes
	c.Reset()
	c.Set(format.TenantKey(format.SpaceCovered, t), format.AppendCoveredValue(nil, seq))
	s.commit(c)
	return nil
}
