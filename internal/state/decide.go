package state

import (
	"fmt"

	"daybook/internal/billing"
	"daybook/internal/state/format"
)

// Decide writes a decision and its effects in one atomic write, durable on return, and returns its number. The
// account-days of resolved quarantined records become dirty. An accepted gap moves the position to Decision.Next
// and adds to its Gaps. As with Apply, an error means that nothing was written.
func (s *Store) Decide(d Decision) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return 0, errClosed
	}
	tx := s.beginLocked(format.EntryDecision)
	number := tx.decide(d)
	switch d.Kind {
	case GapAccepted:
		if err := tx.acceptGap(&d); err != nil {
			return 0, err
		}
	case QuarantineSettled:
		for _, src := range d.Records {
			if err := tx.settle(src, number); err != nil {
				return 0, err
			}
		}
	case EmptyDayAllowed, DecisionsCarried:
	default:
		return 0, fmt.Errorf("decide: no such decision: %q", d.Kind)
	}
	_, err := tx.commit()
	return number, err
}

// decide adds a decision and returns its number.
func (tx *transaction) decide(d Decision) uint64 {
	d.Number = tx.s.mu.decisions + uint64(len(tx.decisions)) + 1
	if d.When.IsZero() {
		d.When = tx.at
	}
	tx.decisions = append(tx.decisions, d)
	return d.Number
}

func (tx *transaction) acceptGap(d *Decision) error {
	id := PartitionID{Topic: d.Topic, Partition: d.Partition}
	p := tx.position(id)
	if p == nil {
		if int(id.Topic) >= len(tx.s.mu.identity.Topics) {
			return fmt.Errorf("accept gap: %w: the state has no topic %d", ErrPosition, id.Topic)
		}
		p = &Position{Partition: id, FirstOffset: d.From, NextOffset: d.From, LastOffset: -1, LeaderEpoch: -1}
		tx.positions[id] = p
	}
	if d.From != p.NextOffset || d.Next <= d.From {
		return fmt.Errorf("accept gap: %w: offsets %d to %d, the state is at %d", ErrPosition, d.From, d.Next, p.NextOffset)
	}
	p.Gaps += d.Next - d.From
	p.NextOffset = d.Next
	tx.spans = append(tx.spans, format.Span{Partition: id, From: d.From, Next: d.Next})
	return nil
}

// settle resolves one quarantined record. A superseded one keeps its status.
func (tx *transaction) settle(src billing.Source, number uint64) error {
	q, err := tx.quarantined(src)
	if err != nil {
		return err
	}
	if q == nil {
		return fmt.Errorf("%w: no quarantined record at topic %d, partition %d, offset %d", ErrNoRecord, src.Topic, src.Partition, src.Offset)
	}
	if q.record.Status == QuarantineOpen {
		q.record.Status = QuarantineResolved
	}
	q.record.Decision = number
	return nil
}

// AddTopics appends topics to the identity and gives them their ordinals, which continue those of the identity.
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
	tx := s.beginLocked(format.EntryTopics)
	tx.identity = &id
	_, err := tx.commit()
	return err
}

// SetCovered stores up to which write a tenant's newest release covers. Status and metrics alone read it.
func (s *Store) SetCovered(t billing.TenantID, seq Sequence) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return errClosed
	}
	rows := &s.mu.rows
	rows.Reset()
	rows.Set(format.TenantKey(format.SpaceCovered, t), format.AppendCoveredValue(nil, seq))
	s.writeBatch(rows)
	return nil
}
