package state

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"daybook/internal/billing"
	"daybook/internal/state/engine"
	"daybook/internal/state/format"
)

// view reads rows from a database or a snapshot of one.
type view struct{ r pebble.Reader }

// get calls f with the row's value, which is valid until f returns.
func (v view) get(key []byte, f func(value []byte) error) (found bool, err error) {
	value, closer, err := v.r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, engine.ReadError(err)
	}
	err = f(value)
	return true, errors.Join(err, closer.Close())
}

// scan calls f with each row from low up to, not including, high. Key and value
// are valid until f returns. io.EOF from f ends the scan without error.
func (v view) scan(low, high []byte, f func(key, value []byte) error) (err error) {
	var c cursor
	defer func() { err = c.close(err) }()
	if err := c.add(v, low, high); err != nil {
		return err
	}
	return c.each(f)
}

// scanPrefix scans all rows whose key begins with prefix.
func (v view) scanPrefix(prefix []byte, f func(key, value []byte) error) error {
	return v.scan(prefix, format.PrefixEnd(prefix), f)
}

func (v view) identity() (id Identity, err error) {
	found, err := v.get([]byte{format.SpaceIdentity}, func(value []byte) (err error) {
		id, err = format.ParseIdentity(value)
		return err
	})
	if err == nil && !found {
		err = fmt.Errorf("%w: it has no identity", ErrDamaged)
	}
	return id, err
}

// journal reads the journal from its base to its head and verifies the chain. each, if not nil, is called with every
// entry; unfolded is their number.
func (v view) journal(each func(*format.Entry)) (base, j *format.Journal, unfolded int, err error) {
	found, err := v.get([]byte{format.SpaceBase}, func(value []byte) (err error) {
		if base, err = format.ParseJournal(value); err != nil {
			return err
		}
		j, err = format.ParseJournal(value)
		return err
	})
	if err != nil {
		return nil, nil, 0, err
	}
	if !found {
		return nil, nil, 0, fmt.Errorf("%w: it has no journal", ErrDamaged)
	}
	err = v.scanPrefix([]byte{format.SpaceJournal}, func(key, value []byte) error {
		e, err := format.ParseEntry(key, value, j.Head)
		if err != nil {
			return err
		}
		unfolded++
		if each != nil {
			each(&e)
		}
		return j.Fold(&e)
	})
	return base, j, unfolded, err
}

func (v view) positions() (all []Position, err error) {
	err = v.scanPrefix([]byte{format.SpacePosition}, func(key, value []byte) error {
		p, err := format.ParsePosition(key, value)
		all = append(all, p)
		return err
	})
	return all, err
}

func (v view) decisions() (all []Decision, err error) {
	err = v.scanPrefix([]byte{format.SpaceDecision}, func(key, value []byte) error {
		d, err := format.ParseDecision(key, value)
		all = append(all, d)
		return err
	})
	return all, err
}

func (v view) quarantined(src billing.Source, payload bool) (q *Quarantined, found bool, err error) {
	key := format.QuarantineKey(format.SpaceQuarantine, src)
	found, err = v.get(key, func(value []byte) (err error) {
		q, err = format.ParseQuarantined(key, value)
		return err
	})
	if err != nil || !found || !payload {
		return q, found, err
	}
	ok, err := v.get(format.QuarantineKey(format.SpacePayload, src), func(value []byte) error {
		return q.SetPayload(append([]byte(nil), value...))
	})
	if err == nil && !ok {
		err = fmt.Errorf("%w: a quarantined record has no payload", ErrDamaged)
	}
	return q, true, err
}

// verify checks what must hold whenever a state is opened: the identity, the journal's chain since its base, that
// positions are those of the journal, and the conservation law.
func (v view) verify() (Identity, *format.Journal, error) {
	id, err := v.identity()
	if err != nil {
		return id, nil, err
	}
	_, j, _, err := v.journal(nil)
	if err != nil {
		return id, nil, err
	}
	return id, j, v.verifyPositions(j)
}

func (v view) verifyPositions(j *format.Journal) error {
	positions, err := v.positions()
	if err != nil {
		return err
	}
	var outcomes [billing.OutcomeCount]int64
	for i := range positions {
		p := &positions[i]
		if next, ok := j.Next[p.Partition]; !ok || next != p.NextOffset {
			return fmt.Errorf("%w: partition %d of topic %d is at offset %d, its journal at %d", ErrDamaged,
				p.Partition.Partition, p.Partition.Topic, p.NextOffset, next)
		}
		if err := p.Conserved(); err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		for o, n := range p.Outcomes {
			outcomes[o] += n
		}
	}
	if len(positions) != len(j.Next) {
		return fmt.Errorf("%w: the journal has %d partitions, the state has %d", ErrDamaged, len(j.Next), len(positions))
	}
	if outcomes != j.Outcomes {
		return fmt.Errorf("%w: the outcomes of the positions differ from those of the journal", ErrDamaged)
	}
	if outcomes[billing.Quarantined] != j.Totals.Quarantined {
		return fmt.Errorf("%w: %d records had the outcome quarantined, the journal counts %d", ErrDamaged,
			outcomes[billing.Quarantined], j.Totals.Quarantined)
	}
	return nil
}
