package state

import (
	"bytes"
	"math/bits"

	"daybook/internal/billing"
	"daybook/internal/dedup"
	"daybook/internal/extsort"
	"daybook/internal/state/format"
)

// encode adds the rows of the transaction, but for its journal entry, to rows.
func (tx *transaction) encode(rows *extsort.Rows) error {
	if err := tx.markAdded(); err != nil {
		return err
	}
	for i := range tx.events.entries {
		if e := &tx.events.entries[i]; e.changed {
			tx.encodeEvent(rows, e)
		}
	}
	for _, q := range tx.quarantine {
		tx.encodeQuarantine(rows, q)
	}
	tx.encodeMarkers(rows)
	for t := range tx.tenants {
		rows.Set(format.TenantKey(format.SpaceTenant, t), nil)
	}
	for i := range tx.decisions {
		value, err := format.AppendDecisionValue(nil, &tx.decisions[i])
		if err != nil {
			return err
		}
		rows.Set(format.SequenceKey(format.SpaceDecision, tx.decisions[i].Number), value)
		tx.totals.Decisions++
	}
	if tx.identity != nil {
		text, err := format.AppendIdentityValue(nil, tx.identity)
		if err != nil {
			return err
		}
		rows.Set([]byte{format.SpaceIdentity}, text)
	}
	for _, id := range format.SortedPartitions(tx.positions) {
		rows.Set(format.PositionKey(id), format.AppendPositionValue(nil, tx.positions[id]))
	}
	return nil
}

// encodeEntry adds a journal entry, chained to the digest of the one before.
func encodeEntry(rows *extsort.Rows, e *format.Entry, before Digest) {
	rows.Set(format.SequenceKey(format.SpaceJournal, uint64(e.Sequence)), e.AppendValue(nil, before))
}

// markAdded marks the account-days in added.
func (tx *transaction) markAdded() error {
	for prefix := range tx.added {
		k, err := format.ParseDayKey([]byte(prefix))
		if err != nil {
			return err
		}
		account, _, err := format.CutKeyString(k.Rest)
		if err != nil {
			return err
		}
		tx.dirty[billing.AccountDay{Tenant: billing.TenantID(k.Tenant), Day: k.Day, Account: billing.AccountID(account)}] |= dedup.Added
	}
	return nil
}

// encodeMarkers adds the markers of dirty account-days.
func (tx *transaction) encodeMarkers(rows *extsort.Rows) {
	for a, change := range tx.dirty {
		for ; change != 0; change &= change - 1 {
			rows.Begin()
			rows.Buf = format.AppendMarkerKey(rows.Buf, a, bits.TrailingZeros8(uint8(change)))
			rows.EndKey()
			rows.Buf = format.AppendMarkerValue(rows.Buf, tx.sequence, tx.at)
			rows.End()
		}
	}
}

// encodeEvent adds the rows of an event whose winner changed, and brings the totals up to date.
func (tx *transaction) encodeEvent(rows *extsort.Rows, e *eventEntry) {
	tx.encodeLocator(rows, e)
	tx.encodeRecord(rows, e)
	tx.encodeTie(rows, e)
}

// encodeLocator adds the locator of the winner, unless the store has it already.
func (tx *transaction) encodeLocator(rows *extsort.Rows, e *eventEntry) {
	t := &tx.totals
	g := t.Generation
	if e.isStored {
		g = e.stored.generation // where look-ups find it; a second locator would be found or not, by its generation
	}
	rows.Begin()
	rows.Buf = append(rows.Buf, e.locatorKey...)
	format.SetLocatorGeneration(rows.Built(), g)
	rows.EndKey()
	rows.Buf = format.AppendLocatorValue(rows.Buf, &e.winner)
	row := rows.Built()
	if !e.isStored {
		t.Locators++
		t.LocatorDigest = t.LocatorDigest.Plus(format.HashLocator(row))
		rows.End()
		return
	}
	tx.key = format.AppendLocatorValue(append(tx.key[:0], rows.BuiltKey()...), &e.stored.winner)
	if bytes.Equal(row, tx.key) {
		rows.Cancel()
		return
	}
	t.LocatorDigest = t.LocatorDigest.Minus(format.HashLocator(tx.key))
	t.LocatorDigest = t.LocatorDigest.Plus(format.HashLocator(row))
	rows.End()
}

// encodeRecord moves an event's record from where the store has it to where the winner has it.
func (tx *transaction) encodeRecord(rows *extsort.Rows, e *eventEntry) {
	t := &tx.totals
	from, to := &e.stored.winner, &e.winner
	was, is := e.isStored && !from.Deleted, !to.Deleted
	bringsRecord := e.record.row != nil
	// A version that changes the locator alone (a tie) leaves the record as it is.
	if is && !bringsRecord {
		return
	}
	inPlace := was && is && from.Account == to.Account && from.Day == to.Day
	if was {
		t.RecordDigest = t.RecordDigest.Minus(e.stored.digest)
		t.Records--
		if !inPlace {
			tx.deleteRecord(rows, e)
		}
	}
	if !is {
		return
	}
	space := format.SpaceRecord
	if inPlace {
		space = format.SpaceOverlay
	}
	e.record.appendTo(rows, space)
	t.RecordDigest = t.RecordDigest.Plus(format.HashRecord(e.record.row))
	t.Records++
}

// deleteRecord deletes the record that the store has of an event, and its overlay.
func (tx *transaction) deleteRecord(rows *extsort.Rows, e *eventEntry) {
	from := &e.stored.winner
	tx.key, _ = format.AppendRecordKeyOfLocator(tx.key[:0], e.locatorKey, from.Account, from.Day)
	rows.Delete(tx.key)
	if e.stored.overlay {
		tx.key[0] = format.SpaceOverlay
		rows.Delete(tx.key)
	}
}

// encodeTie keeps the index of tied winners.
func (tx *transaction) encodeTie(rows *extsort.Rows, e *eventEntry) {
	from, to := &e.stored.winner, &e.winner
	was, is := e.isStored && !from.Deleted && from.Tied, !to.Deleted && to.Tied
	moved := from.Day != to.Day
	if was && (!is || moved) {
		tx.key = format.AppendTieKeyOfLocator(tx.key[:0], e.locatorKey, from.Day)
		rows.Delete(tx.key)
	}
	if is && (!was || moved) {
		tx.key = format.AppendTieKeyOfLocator(tx.key[:0], e.locatorKey, to.Day)
		rows.Set(tx.key, nil)
	}
}
