package state

import (
	"fmt"

	"daybook/internal/billing"
	"daybook/internal/state/format"
)

// Retry judges all quarantined records again by rules, applies those that judge accepts, and makes rules those of
// the state, in one journalled write. judge returns the record with its new verdict. Accepted records leave
// quarantine and the others take their new reason, so that the state is what a rebuild with these rules would make.
// Because a record that was accepted is not judged again, rules must accept whatever the state's rules accept; else
// the error is ErrRules. As with Apply, an error means that nothing was applied.
func (s *Store) Retry(rules billing.Rules, d Decision, judge func(q *Quarantined) Record) (Applied, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return Applied{}, errClosed
	}
	if err := rules.Validate(); err != nil {
		return Applied{}, fmt.Errorf("retry: %w", err)
	}
	if err := checkLooser(s.mu.identity.Rules, rules); err != nil {
		return Applied{}, fmt.Errorf("%w: %w; remedy: ingest rebuild", ErrRules, err)
	}
	tx := s.beginLocked(format.EntryRetry)
	reasons := map[billing.Reason]int64{}
	accepted, err := tx.judgeAgain(rules, judge, reasons)
	if err != nil {
		return Applied{}, err
	}
	rounded := int64(0)
	d.Kind, d.Records = RulesLoosened, nil
	for _, p := range accepted {
		outcomes, err := tx.applyPart(&p.PackedPart, reasons)
		if err != nil {
			return Applied{}, err
		}
		outcomes[billing.Quarantined] -= int64(len(p.sources))
		tx.count(tx.position(p.Partition), &outcomes)
		rounded += p.rounded
		d.Records = append(d.Records, p.sources...)
	}
	id := s.mu.identity
	id.Rules = rules
	tx.identity = &id
	tx.decide(d)
	applied, err := tx.commit()
	if err != nil {
		return Applied{}, err
	}
	applied.Reasons, applied.Rounded = reasons, rounded
	return applied, nil
}

// acceptedPart is what Retry accepts of one partition.
type acceptedPart struct {
	PackedPart
	sources []billing.Source
}

// judgeAgain judges all quarantined records. It removes those that are accepted from quarantine and returns them by
// partition, ascending, with entries for their events; it changes the verdict of the others and counts their reasons.
func (tx *transaction) judgeAgain(rules billing.Rules, judge func(q *Quarantined) Record, reasons map[billing.Reason]int64) ([]*acceptedPart, error) {
	sources, err := tx.s.view.quarantinedSources()
	if err != nil {
		return nil, err
	}
	var accepted []*acceptedPart
	for _, src := range sources {
		q, found, err := tx.s.view.quarantined(src, true)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, fmt.Errorf("%w: quarantined record at topic %d, partition %d, offset %d is gone", ErrDamaged,
				src.Topic, src.Partition, src.Offset)
		}
		if q.Cut() {
			if rules.MaxRecordBytes > tx.s.mu.identity.Rules.MaxRecordBytes && q.Size <= rules.MaxRecordBytes {
				return nil, fmt.Errorf("%w: of the record at partition %d, offset %d only the first MiB was kept; remedy: ingest rebuild",
					ErrRules, src.Partition, src.Offset)
			}
			continue
		}
		r := judge(q)
		change, err := tx.quarantined(src)
		if err != nil {
			return nil, err
		}
		if r.Rejection != nil {
			change.record.Rejection = *r.Rejection
			reasons[r.Rejection.Reason]++
			continue
		}
		change.removed = true
		tx.totals.Quarantined--
		if _, err := tx.entry(r.Event.Tenant, r.Event.ID); err != nil {
			return nil, err
		}
		id := format.PartitionOf(src)
		if n := len(accepted); n == 0 || accepted[n-1].Partition != id {
			accepted = append(accepted, &acceptedPart{PackedPart: PackedPart{Partition: id}})
		}
		p := accepted[len(accepted)-1]
		p.Add(&r)
		p.sources = append(p.sources, src)
	}
	return accepted, nil
}

// quarantinedSources are the places in the log of all quarantined records, ascending.
func (v view) quarantinedSources() (all []billing.Source, err error) {
	err = v.scanPrefix([]byte{format.SpaceQuarantine}, func(key, _ []byte) error {
		p, offset, err := format.ParseSource(key[1:])
		all = append(all, billing.Source{Topic: p.Topic, Partition: p.Partition, Offset: offset})
		return err
	})
	return all, err
}

// checkLooser returns an error if a record that old accepts might be rejected by next, or belong to another event.
func checkLooser(old, next billing.Rules) error {
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
