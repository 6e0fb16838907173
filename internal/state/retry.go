package state

import (
	"fmt"

	"daybook/internal/billing"
	"daybook/internal/state/format"
)

// Retry judges all quarantined records again by rules and, in one journalled
// write, applies those that judge accepts and adopts the rules. judge returns
// the record with its new verdict. Accepted ones leave quarantine, and the
// others take their new reason, so that the state is what a rebuild with these
// rules would make. It is refused with ErrRules unless rules are looser than or
// equal to the state's, because a record that was accepted is not judged again.
func (s *Store) Retry(rules billing.Rules, d Decision, judge func(q *Quarantined) Record) (Applied, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return Applied{}, errClosed
	}
	if err := rules.Validate(); err != nil {
		return Applied{}, fmt.Errorf("retry: %w", err)
	}
	if err := looser(s.mu.identity.Rules, rules); err != nil {
		return Applied{}, fmt.Errorf("%w: %w; remedy: ingest rebuild", ErrRules, err)
	}
	w := s.beginLocked(format.EntryRetry)
	applied := Applied{Reasons: map[billing.Reason]int64{}}
	var sources []billing.Source
	err := s.view.scanPrefix([]byte{format.SpaceQuarantine}, func(key, _ []byte) error {
		p, offset, err := format.ParseSource(key[1:])
		sources = append(sources, billing.Source{Topic: p.Topic, Partition: p.Partition, Offset: offset})
		return err
	})
	if err != nil {
		return Applied{}, err
	}
	d.Kind, d.Records = RulesLoosened, nil
	for _, src := range sources {
		q, found, err := s.view.quarantined(src, true)
		if err != nil {
			return Applied{}, err
		}
		if !found {
			return Applied{}, fmt.Errorf("%w: quarantined record at topic %d, partition %d, offset %d is gone", ErrDamaged,
				src.Topic, src.Partition, src.Offset)
		}
		if q.Cut() {
			if rules.MaxRecordBytes > s.mu.identity.Rules.MaxRecordBytes && q.Size <= rules.MaxRecordBytes {
				return Applied{}, fmt.Errorf("%w: of the record at partition %d, offset %d only the first MiB was kept; remedy: ingest rebuild",
					ErrRules, src.Partition, src.Offset)
			}
			continue
		}
		rec := judge(q)
		h, err := w.held(src)
		if err != nil {
			return Applied{}, err
		}
		if rec.Rejection != nil {
			h.q.Rejection = *rec.Rejection
			applied.Reasons[rec.Rejection.Reason]++
			continue
		}
		h.gone = true
		w.totals.Quarantined--
		sl, err := w.slot(rec.Event.Tenant, rec.Event.ID)
		if err != nil {
			return Applied{}, err
		}
		outcome, err := w.event(sl, &rec.Event)
		if err != nil {
			return Applied{}, err
		}
		p := w.position(format.PartitionOf(src))
		p.Outcomes[billing.Quarantined]--
		p.Outcomes[outcome]++
		w.outcomes[billing.Quarantined]--
		w.outcomes[outcome]++
		if rec.Rounded {
			applied.Rounded++
		}
		d.Records = append(d.Records, src)
	}
	id := s.mu.identity
	id.Rules = rules
	w.identity = &id
	w.decide(d)
	done, err := w.finish()
	if err != nil {
		return Applied{}, err
	}
	done.Reasons, done.Rounded = applied.Reasons, applied.Rounded
	return done, nil
}

// looser says why a record that is accepted by old might not be by next, or
// might come to another event.
func looser(old, next billing.Rules) error {
	strictness := map[billing.NegativePolicy]int{billing.RejectNegative: 2, billing.LabelledNegative: 1, billing.AllowNegative: 0}
	if strictness[next.DefaultNegative] > strictness[old.DefaultNegative] {
		return fmt.Errorf("negative costs: %s is stricter than %s", next.DefaultNegative, old.DefaultNegative)
	}
	for _, named := range [...]map[billing.TenantID]billing.NegativePolicy{old.Negative, next.Negative} {
		for t := range named {
			if a, b := old.NegativeFor(t), next.NegativeFor(t); strictness[b] > strictness[a] {
				return fmt.Errorf("negative costs of tenant %s: %s is stricter than %s", t, b, a)
			}
		}
	}
	for _, bindings := range [...]map[string]billing.TenantID{old.Bindings, next.Bindings} {
		for topic := range bindings {
			if a, b := old.Bindings[topic], next.Bindings[topic]; a != b {
				return fmt.Errorf("topic %s: bound to tenant %q, was %q", topic, b, a)
			}
		}
	}
	switch {
	case next.MaxUsageAhead < old.MaxUsageAhead:
		return fmt.Errorf("usage_date may be %s ahead, was %s", next.MaxUsageAhead, old.MaxUsageAhead)
	case next.MaxIngestedAhead < old.MaxIngestedAhead:
		return fmt.Errorf("ingested_at may be %s ahead, was %s", next.MaxIngestedAhead, old.MaxIngestedAhead)
	case next.MaxRecordBytes < old.MaxRecordBytes:
		return fmt.Errorf("a record may have %d bytes, had %d", next.MaxRecordBytes, old.MaxRecordBytes)
	}
	return nil
}
