package state

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Compare says in what two states of the same log differ: locators, records,
// quarantine, and what was delivered per partition. It does not look at what
// depends on the order of arrival (sequences, markers, outcomes, the journal)
// nor at decisions: a resolved record equals an open one. At most a thousand
// differences are listed. progress may be nil.
func Compare(a, b *Reader, progress func(done, total int64)) ([]Fault, error) {
	c := &comparison{a: a, b: b, progress: progress}
	for _, step := range []func() error{
		c.comparePositions,
		func() error { return c.compareRows(spaceLocator, "locator", sameBytes) },
		func() error { return c.compareRows(spaceRecord, "record", sameBytes) },
		func() error { return c.compareRows(spaceQuarantine, "quarantined record", sameVerdict) },
		func() error { return c.compareRows(spacePayload, "quarantined record's bytes", sameBytes) },
	} {
		if err := step(); err != nil {
			return c.differences, fmt.Errorf("compare states: %w", err)
		}
	}
	return c.differences, nil
}

type comparison struct {
	a, b        *Reader
	differences []Fault
	progress    func(done, total int64)
	done        int64
}

func (c *comparison) differ(key []byte, format string, args ...any) {
	if len(c.differences) < maxFaults {
		c.differences = append(c.differences, Fault{What: fmt.Sprintf(format, args...), Key: fmt.Sprintf("%q", key)})
	}
}

func (c *comparison) comparePositions() error {
	byID := map[PartitionID][2]Position{}
	for i, r := range [...]*Reader{c.a, c.b} {
		positions, err := r.positions()
		if err != nil {
			return err
		}
		for _, p := range positions {
			both := byID[p.Partition]
			both[i] = p
			byID[p.Partition] = both
		}
	}
	for _, id := range sortedPartitions(byID) {
		p, q := byID[id][0], byID[id][1]
		if p.Delivered != q.Delivered {
			c.differ(positionKey(id), "partition %d of topic %d: %d records delivered up to offset %d, or %d up to offset %d",
				id.Partition, id.Topic, p.Delivered, p.NextOffset, q.Delivered, q.NextOffset)
		}
	}
	return nil
}

// compareRows walks one keyspace of both states side by side.
func (c *comparison) compareRows(space byte, name string, same func(key, a, b []byte) (bool, error)) (err error) {
	o := &pebble.IterOptions{LowerBound: []byte{space}, UpperBound: []byte{space + 1}}
	ia, err := c.a.r.NewIter(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ia.Close()) }()
	ib, err := c.b.r.NewIter(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ib.Close()) }()
	for inA, inB := ia.First(), ib.First(); inA || inB; {
		order := 0
		switch {
		case !inB:
			order = -1
		case !inA:
			order = 1
		default:
			order = bytes.Compare(ia.Key(), ib.Key())
		}
		switch order {
		case -1:
			c.differ(ia.Key(), "%s only in the first state", name)
			inA = ia.Next()
		case 1:
			c.differ(ib.Key(), "%s only in the second state", name)
			inB = ib.Next()
		default:
			va, errA := ia.ValueAndErr()
			vb, errB := ib.ValueAndErr()
			if err := errors.Join(errA, errB); err != nil {
				return err
			}
			ok, err := same(ia.Key(), va, vb)
			if err != nil {
				return err
			}
			if !ok {
				c.differ(ia.Key(), "%s differs", name)
			}
			inA, inB = ia.Next(), ib.Next()
		}
		c.step()
	}
	return errors.Join(ia.Error(), ib.Error())
}

func (c *comparison) step() {
	c.done++
	if c.progress != nil && c.done%10_000 == 0 {
		t := &c.a.journal.totals
		c.progress(c.done, t.locators+t.records+2*t.quarantined)
	}
}

func sameBytes(_, a, b []byte) (bool, error) { return bytes.Equal(a, b), nil }

// sameVerdict compares quarantined records without what hangs on arrival and decisions.
func sameVerdict(key, a, b []byte) (bool, error) {
	p, err := parseQuarantined(key, a)
	if err != nil {
		return false, err
	}
	q, err := parseQuarantined(key, b)
	if err != nil {
		return false, err
	}
	return p.Rejection == q.Rejection && p.Size == q.Size &&
		(p.Status == QuarantineSuperseded) == (q.Status == QuarantineSuperseded), nil
}

// CarryDecisions writes all decisions of a state into the one that was rebuilt
// from the same log, oldest first with who, when and why, and carried after them; in one write.
// Records that were resolved are resolved there, if they are in quarantine
// there. Accepted gaps are carried as words alone: what the rebuilt state read, it read.
func CarryDecisions(from *Reader, to *Store, carried Decision) error {
	decisions, err := from.Decisions()
	if err != nil {
		return err
	}
	to.mu.Lock()
	defer to.mu.Unlock()
	if to.mu.closed {
		return errClosed
	}
	w := to.beginLocked(entryDecision, 0)
	for _, d := range decisions {
		number := w.decide(d)
		if d.Kind != QuarantineSettled {
			continue
		}
		for _, src := range d.Records {
			if err := w.settle(src, number); err != nil && !errors.Is(err, ErrNoRecord) {
				return err
			}
		}
	}
	carried.Kind = DecisionsCarried
	w.decide(carried)
	_, err = w.finish()
	return err
}
