package state

import (
	"fmt"
	"maps"
	"time"

	"github.com/zeebo/xxh3"

	"daybook/internal/billing"
	"daybook/internal/dedup"
	"daybook/internal/state/format"
)

// transaction is one atomic write that is being prepared. It reads the store and its own earlier effects; nothing is
// visible before commit.
type transaction struct {
	s         *Store
	filters   *filters
	kind      format.EntryKind
	sequence  Sequence
	at        time.Time // of the write
	outcomes  [billing.OutcomeCount]int64
	ties      int64
	totals    format.Totals
	asTables  bool      // write tables instead of a batch
	load      *BulkLoad // the bulk load that the transaction commits; nil: none
	spans     []format.Span
	positions map[PartitionID]*Position // changed ones
	tenants   map[billing.TenantID]bool // new ones
	identity  *Identity                 // nil: unchanged
	decisions []Decision

	events     *eventTable
	key        []byte          // scratch
	added      map[string]bool // account-days of events that have one version, as the prefixes of their record keys
	dirty      map[billing.AccountDay]dedup.Change
	quarantine map[logPlace]*quarantineChange
}

// logPlace is where a record is in the log.
type logPlace struct {
	PartitionID
	offset int64
}

func placeOf(src billing.Source) logPlace { return logPlace{format.PartitionOf(src), src.Offset} }

// beginLocked begins a transaction. The caller keeps the lock until commit, or until it drops the transaction. There is
// one at a time: transactions share the memory of the store.
func (s *Store) beginLocked(kind format.EntryKind) *transaction {
	s.mu.events.reset()
	s.mu.rows.Reset()
	tx := &transaction{
		s:          s,
		filters:    s.mu.filters,
		kind:       kind,
		sequence:   s.mu.journal.Head.Sequence + 1,
		at:         s.o.Now().UTC(),
		totals:     s.mu.journal.Totals,
		positions:  map[PartitionID]*Position{},
		tenants:    map[billing.TenantID]bool{},
		events:     &s.mu.events,
		added:      map[string]bool{},
		dirty:      map[billing.AccountDay]dedup.Change{},
		quarantine: map[logPlace]*quarantineChange{},
	}
	startGeneration(&tx.totals, s.o.GenerationEvents)
	return tx
}

// position returns a partition's position to change, nil if there is none.
func (tx *transaction) position(id PartitionID) *Position {
	if p, ok := tx.positions[id]; ok {
		return p
	}
	stored, ok := tx.s.mu.positions[id]
	if !ok {
		return nil
	}
	p := *stored
	tx.positions[id] = &p
	return &p
}

// count adds outcomes of records of p.
func (tx *transaction) count(p *Position, outcomes *[billing.OutcomeCount]int64) {
	for o, n := range outcomes {
		p.Outcomes[o] += n
		tx.outcomes[o] += n
	}
}

// addTenant lists a tenant, unless it is listed or empty.
func (tx *transaction) addTenant(t billing.TenantID) {
	if t != "" && !tx.s.mu.tenants[t] && !tx.tenants[t] {
		tx.tenants[t] = true
	}
}

// entry finds the entry of an event, or makes one with the winner that the store holds. It is valid until the next
// call.
func (tx *transaction) entry(t billing.TenantID, id billing.EventID) (*eventEntry, error) {
	tx.key = format.AppendEventKey(tx.key[:0], t, id)
	hash := xxh3.Hash128(tx.key)
	if e := tx.events.find(hash, tx.key); e != nil {
		return e, nil
	}
	e, err := tx.events.add(hash, tx.key)
	if err != nil || !tx.filters.events.add(hash) {
		return e, err
	}
	if e.stored, e.isStored, err = tx.s.view.storedWinner(tx.totals.Generation, t, id); e.isStored {
		e.setStored()
	}
	return e, err
}

// resolve applies one version to its event. record is the version's record row; it is empty for a delete, and where the
// caller stores records itself.
func (tx *transaction) resolve(e *eventEntry, v *version, record recordRow) (billing.Outcome, error) {
	next := v.event(e.tenant)
	r, err := dedup.Resolve(e.winner, e.found, &next, v.Digest, func() (billing.Money, error) { return e.cost, nil })
	if err != nil {
		return 0, fmt.Errorf("resolve event: %w", err)
	}
	for _, t := range r.Dirty[:r.N] {
		tx.dirty[t.AccountDay] |= t.Change
	}
	if r.Changed {
		switch {
		case r.Put, r.Raise:
			e.record, e.cost = record, v.cost
		case r.Winner.Deleted:
			e.record, e.cost = recordRow{}, billing.Money{}
		}
		if r.Winner.Tied && !e.winner.Tied {
			tx.ties++
		}
		e.winner, e.found, e.changed = r.Winner, true, true
	}
	return r.Outcome, nil
}

// commit makes the transaction durable and applies it to the store's memory. An error means that nothing was
// written and that memory is as it was. What fails later ends the process by way of Options.Fatal.
func (tx *transaction) commit() (Applied, error) {
	s := tx.s
	started := s.o.Now()
	if err := tx.supersede(); err != nil {
		return Applied{}, err
	}
	for _, p := range tx.positions {
		if err := p.Conserved(); err != nil {
			return Applied{}, fmt.Errorf("%w: %w", ErrPosition, err)
		}
	}
	rows := &s.mu.rows
	if err := tx.encode(rows); err != nil {
		return Applied{}, err
	}
	entry := format.Entry{Sequence: tx.sequence, Kind: tx.kind, At: tx.at, Spans: tx.spans, Outcomes: tx.outcomes, Totals: tx.totals}
	encodeEntry(rows, &entry, s.mu.journal.Head.Digest)
	journal := s.mu.journal.Clone()
	if err := journal.Fold(&entry); err != nil {
		return Applied{}, err
	}

	var err error
	switch {
	case tx.load != nil:
		err = tx.load.write(rows)
	case tx.asTables:
		err = s.writeAsTables(rows)
	default:
		s.writeBatch(rows)
	}
	if err != nil {
		return Applied{}, err
	}
	s.mu.journal = journal
	s.mu.unfolded++
	maps.Copy(s.mu.positions, tx.positions)
	maps.Copy(s.mu.tenants, tx.tenants)
	if tx.identity != nil {
		s.mu.identity = *tx.identity
	}
	s.mu.decisions += uint64(len(tx.decisions))
	s.metrics.writes.Inc()
	s.metrics.writeTime.Observe(s.o.Now().Sub(started).Seconds())
	s.noteLocked()
	s.foldLocked()
	return Applied{Sequence: tx.sequence, Outcomes: tx.outcomes, Ties: tx.ties, Dirty: len(tx.dirty)}, nil
}
