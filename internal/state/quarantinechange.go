package state

import (
	"fmt"
	"slices"

	"github.com/zeebo/xxh3"

	"daybook/internal/billing"
	"daybook/internal/dedup"
	"daybook/internal/extsort"
	"daybook/internal/state/format"
)

// quarantineChange is a quarantined record that a transaction adds, changes or removes.
type quarantineChange struct {
	record     *Quarantined
	stored     *Quarantined // as the store has it; nil: the transaction adds it
	key, value []byte       // the payload of an added one
	removed    bool
}

// newQuarantined is the quarantined record of a rejection that arrives now.
func (tx *transaction) newQuarantined(r *Record) *Quarantined {
	return &Quarantined{Source: r.source(), Rejection: *r.Rejection, Status: QuarantineOpen, ArrivedAt: tx.at, Size: r.Size}
}

// quarantineRecord puts a record into quarantine. Whether it is superseded at once is decided by supersede, when all
// winners are known.
func (tx *transaction) quarantineRecord(r *Record) {
	q := tx.newQuarantined(r)
	tx.quarantine[placeOf(q.Source)] = &quarantineChange{record: q, key: r.Key, value: r.Value}
	tx.totals.Quarantined++
	tx.addTenant(r.Rejection.Tenant)
}

// quarantined returns a quarantined record to change, nil if there is none.
func (tx *transaction) quarantined(src billing.Source) (*quarantineChange, error) {
	if q, ok := tx.quarantine[placeOf(src)]; ok {
		return q, nil
	}
	record, found, err := tx.s.view.quarantined(src, false)
	if err != nil || !found {
		return nil, err
	}
	stored := *record
	q := &quarantineChange{record: record, stored: &stored}
	tx.quarantine[placeOf(src)] = q
	return q, nil
}

// supersede decides which quarantined records a greater accepted version has superseded. It runs once, with the final
// winners, so that the result does not depend on the order within the transaction.
func (tx *transaction) supersede() error {
	filter := tx.filters.quarantined
	for i := range tx.events.entries {
		e := &tx.events.entries[i]
		if !e.changed || filter.empty() || !tx.maybeQuarantined(e.eventKey()) {
			continue
		}
		if err := tx.supersedeStored(e); err != nil {
			return err
		}
	}
	for _, q := range tx.quarantine {
		if r := &q.record.Rejection; !q.removed && r.Tenant != "" && r.Event != "" {
			e, err := tx.entry(r.Tenant, r.Event)
			if err != nil {
				return err
			}
			q.supersede(e)
		}
	}
	return nil
}

// supersedeStored applies an event's winner to its quarantined records in the store.
func (tx *transaction) supersedeStored(e *eventEntry) error {
	prefix := append([]byte{format.SpaceByEvent}, e.eventKey()...)
	var places []billing.Source
	err := tx.s.view.scanPrefix(prefix, func(key, _ []byte) error {
		p, offset, err := format.ParseSource(key[len(prefix):])
		places = append(places, billing.Source{Topic: p.Topic, Partition: p.Partition, Offset: offset})
		return err
	})
	if err != nil {
		return err
	}
	for _, src := range places {
		q, err := tx.quarantined(src)
		if err != nil {
			return err
		}
		if q == nil {
			return fmt.Errorf("%w: the quarantine index refers to a record that does not exist", ErrDamaged)
		}
		q.supersede(e)
	}
	return nil
}

// supersede changes the status of a quarantined record if a greater version of its event is accepted.
func (q *quarantineChange) supersede(e *eventEntry) {
	if e.found && !q.removed && e.winner.Version.Compare(q.record.Rejection.Version) > 0 {
		q.record.Status = QuarantineSuperseded
	}
}

// encodeQuarantine adds the rows of one quarantined record, and marks its account-day when it begins or ceases to be
// withheld.
func (tx *transaction) encodeQuarantine(rows *extsort.Rows, q *quarantineChange) {
	src := q.record.Source
	isStored := q.stored != nil
	if q.removed && !isStored {
		return
	}
	withheld, withholds := isStored && q.stored.Withholds(), !q.removed && q.record.Withholds()
	if withheld != withholds {
		r := &q.record.Rejection
		if withheld {
			r = &q.stored.Rejection
		}
		a, _ := format.NamedAccountDay(r)
		tx.dirty[a] |= dedup.Withheld
	}
	if q.removed {
		rows.Delete(format.QuarantineKey(format.SpaceQuarantine, src))
		rows.Delete(format.QuarantineKey(format.SpacePayload, src))
	} else {
		rows.Set(format.QuarantineKey(format.SpaceQuarantine, src), format.AppendQuarantineValue(nil, q.record))
	}
	if !isStored {
		rows.Set(format.QuarantineKey(format.SpacePayload, src), format.AppendPayloadValue(nil, q.key, q.value))
	}
	tx.encodeIndex(rows, q, (*Quarantined).Supersedable, func(q *Quarantined) []byte {
		return format.AppendByEventPrefix(nil, q.Rejection.Tenant, q.Rejection.Event)
	})
	tx.encodeIndex(rows, q, (*Quarantined).Withholds, func(q *Quarantined) []byte {
		a, _ := q.AccountDay()
		return format.AppendAccountDayPrefix(nil, format.SpaceByDay, a)
	})
}

// encodeIndex moves the row that a quarantined record has in one index, if isIndexed, from where it was to where it is.
func (tx *transaction) encodeIndex(rows *extsort.Rows, q *quarantineChange, isIndexed func(*Quarantined) bool, prefix func(*Quarantined) []byte) {
	var before, now []byte
	src := q.record.Source
	if q.stored != nil && isIndexed(q.stored) {
		before = format.AppendSource(prefix(q.stored), format.PartitionOf(src), src.Offset)
	}
	if !q.removed && isIndexed(q.record) {
		now = prefix(q.record)
		if now[0] == format.SpaceByEvent {
			tx.filters.quarantined.add(xxh3.Hash128(now))
		}
		now = format.AppendSource(now, format.PartitionOf(src), src.Offset)
	}
	if slices.Equal(before, now) {
		return
	}
	if before != nil {
		rows.Delete(before)
	}
	if now != nil {
		rows.Set(now, nil)
	}
}
