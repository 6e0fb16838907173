package state

import "daybook/internal/state/format"

// A record that is written again where it lies, because the event came again or was corrected, is put
// beside the records, under its key in a keyspace of amended records, and readers see it in the other's place.
//
// New events come in the order of time, mostly, and so do their records. What is written again may lie
// anywhere among those of years: written among them, a few in each batch, it would make every compaction write
// the records of all years again. The amended are few, and so is what their compactions write. When an event is
// deleted or moves away, both rows go.

// addRecords adds the records whose keys are from low up to high, amended ones in the place of those that they amend.
func (c *cursor) addRecords(v view, low, high []byte) error {
	c.head = 1
	if err := c.add(v, low, high); err != nil {
		return err
	}
	amended := func(bound []byte) []byte {
		return append([]byte{bound[0] + format.SpaceOverlay - format.SpaceRecord}, bound[1:]...)
	}
	return c.add(v, amended(low), amended(high))
}

// recordKey is the key under which the cursor's row would lie in the range added first: a record's, had it not been
// amended. It is valid until the next step.
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
	return c.settle()
}

// scanRecords calls f with each record from low up to, not including, high, as scan would if none were amended.
func (v view) scanRecords(low, high []byte, f func(key, value []byte) error) (err error) {
	var c cursor
	defer func() { err = c.close(err) }()
	if err := c.addRecords(v, low, high); err != nil {
		return err
	}
	return c.each(f)
}
