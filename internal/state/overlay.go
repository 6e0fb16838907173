package state

import "daybook/internal/state/format"

// A record whose event is repeated or corrected in the same account-day is written to an overlay: a keyspace of its
// own, under the same key. Readers merge the two keyspaces and see the row of the overlay.
//
// The overlay bounds write amplification. New events come mostly in the order of time, and so do their records; a
// repeat or a correction may concern any of the records of years. A few of those in each batch, written among the
// records, would make each compaction rewrite the records of all years. The overlay is small, and so is what its
// compactions rewrite. When an event is deleted or moves to another account-day, both rows are deleted.

// addRecords adds the records with keys in [low, high), those of the overlay in place of those that they replace.
func (c *cursor) addRecords(v view, low, high []byte) error {
	c.head = 1
	if err := c.add(v, low, high); err != nil {
		return err
	}
	inOverlay := func(bound []byte) []byte {
		return append([]byte{bound[0] + format.SpaceOverlay - format.SpaceRecord}, bound[1:]...)
	}
	return c.add(v, inOverlay(low), inOverlay(high))
}

// recordKey is the row's key in the keyspace of records, also if the row is in the overlay. It is valid until the
// next step.
func (c *cursor) recordKey() []byte {
	if c.at == 0 {
		return c.its[0].Key()
	}
	c.buf = append(append(c.buf[:0], format.SpaceRecord), c.tail()...)
	return c.buf
}

// seekRecord moves the cursor to the first record at or after key.
func (c *cursor) seekRecord(key []byte) bool {
	c.its[0].SeekGE(key)
	c.buf = append(append(c.buf[:0], format.SpaceOverlay), key[1:]...)
	c.its[1].SeekGE(c.buf)
	return c.findLeast()
}

// scanRecords calls f with each record with a key in [low, high), as scan would if there were no overlay.
func (v view) scanRecords(low, high []byte, f func(key, value []byte) error) (err error) {
	var c cursor
	defer func() { err = c.close(err) }()
	if err := c.addRecords(v, low, high); err != nil {
		return err
	}
	return c.each(f)
}
