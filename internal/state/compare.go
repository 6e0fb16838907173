package state

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"daybook/internal/state/format"
)

// Compare returns the differences between two states of the same log in locators, records, quarantine, and the
// number of records delivered per partition. It ignores what depends on the order of arrival (sequences, markers,
// outcomes, the journal) and decisions: a resolved record equals an open one. At most a thousand differences are
// returned. progress may be nil.
func Compare(a, b *Reader, progress func(done, total int64)) ([]Fault, error) {
	c := &comparison{a: a, b: b, progress: progress}
	for _, step := range []func() error{
		c.comparePositions,
		c.compareLocators,
		c.compareRecords,
		func() error { return c.compareRows(format.SpaceQuarantine, "quarantined record", sameVerdict) },
		func() error { return c.compareRows(format.SpacePayload, "payload of a quarantined record", sameBytes) },
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
	for _, id := range format.SortedPartitions(byID) {
		p, q := byID[id][0], byID[id][1]
		if p.Delivered != q.Delivered {
			c.differ(format.PositionKey(id), "partition %d of topic %d: %d records delivered up to offset %d in the first state, %d up to offset %d in the second",
				id.Partition, id.Topic, p.Delivered, p.NextOffset, q.Delivered, q.NextOffset)
		}
	}
	return nil
}

// compareRows compares one keyspace of both states.
func (c *comparison) compareRows(space byte, name string, same func(key, a, b []byte) (bool, error)) error {
	return c.compareCursors(&cursor{}, &cursor{}, name, same, func(cur *cursor, r *Reader) error {
		return cur.add(r.view, []byte{space}, []byte{space + 1})
	})
}

// compareRecords compares the records of both states, each from the overlay if it is there.
func (c *comparison) compareRecords() error {
	return c.compareCursors(&cursor{}, &cursor{}, "record", sameBytes, func(cur *cursor, r *Reader) error {
		return cur.addRecords(r.view, []byte{format.SpaceRecord}, []byte{format.SpaceRecord + 1})
	})
}

// compareLocators compares the locators of both states in the order of their events, without generations, which
// depend on the order of arrival.
func (c *comparison) compareLocators() error {
	return c.compareCursors(&cursor{head: format.LocatorHeader}, &cursor{head: format.LocatorHeader}, "locator", sameBytes, func(cur *cursor, r *Reader) error {
		for g := 0; g <= int(r.journal.Totals.Generation); g++ {
			low := binary.BigEndian.AppendUint16([]byte{format.SpaceLocator}, uint16(g))
			if err := cur.add(r.view, low, format.PrefixEnd(low)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *comparison) compareCursors(a, b *cursor, name string, same func(key, a, b []byte) (bool, error), open func(*cursor, *Reader) error) (err error) {
	defer func() { err = b.close(a.close(err)) }()
	if err := open(a, c.a); err != nil {
		return err
	}
	if err := open(b, c.b); err != nil {
		return err
	}
	for inA, inB := a.first(), b.first(); inA || inB; {
		order := 0
		switch {
		case !inB:
			order = -1
		case !inA:
			order = 1
		default:
			order = bytes.Compare(a.tail(), b.tail())
		}
		switch order {
		case -1:
			c.differ(a.tail(), "%s only in the first state", name)
			inA = a.next()
		case 1:
			c.differ(b.tail(), "%s only in the second state", name)
			inB = b.next()
		default:
			va, err := a.value()
			if err != nil {
				return err
			}
			vb, err := b.value()
			if err != nil {
				return err
			}
			ok, err := same(a.tail(), va, vb)
			if err != nil {
				return err
			}
			if !ok {
				c.differ(a.tail(), "%s differs", name)
			}
			inA, inB = a.next(), b.next()
		}
		c.step()
	}
	if err := a.error(); err != nil {
		return err
	}
	return b.error()
}

func (c *comparison) step() {
	c.done++
	if c.progress != nil && c.done%10_000 == 0 {
		t := &c.a.journal.Totals
		c.progress(c.done, t.Locators+t.Records+2*t.Quarantined)
	}
}

func sameBytes(_, a, b []byte) (bool, error) { return bytes.Equal(a, b), nil }

// sameVerdict compares quarantined records without what depends on arrival and decisions.
func sameVerdict(key, a, b []byte) (bool, error) {
	p, err := format.ParseQuarantined(key, a)
	if err != nil {
		return false, err
	}
	q, err := format.ParseQuarantined(key, b)
	if err != nil {
		return false, err
	}
	return p.Rejection == q.Rejection && p.Size == q.Size &&
		(p.Status == QuarantineSuperseded) == (q.Status == QuarantineSuperseded), nil
}
