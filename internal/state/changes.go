package state

import "github.com/cockroachdb/pebble/v2"

// changes collects the rows of one atomic write. Each key comes at most once.
// A row is begun, its key and value appended to b, and put.
type changes struct {
	b    []byte
	rows []rowChange
	at   int // where the row in the making begins
	val  int // where its value begins
}

type rowChange struct {
	key, value, end int
	remove          bool
}

func (c *changes) reset() { c.b, c.rows = c.b[:0], c.rows[:0] }

func (c *changes) begin() { c.at = len(c.b) }
func (c *changes) value() { c.val = len(c.b) }

// put ends a row that is set.
func (c *changes) put() {
	c.rows = append(c.rows, rowChange{key: c.at, value: c.val, end: len(c.b)})
}

// remove ends a row, of which only the key was appended, that is deleted.
func (c *changes) remove() {
	c.rows = append(c.rows, rowChange{key: c.at, value: len(c.b), end: len(c.b), remove: true})
}

func (c *changes) set(key, value []byte) {
	c.begin()
	c.b = append(c.b, key...)
	c.value()
	c.b = append(c.b, value...)
	c.put()
}

func (c *changes) drop(key []byte) {
	c.begin()
	c.b = append(c.b, key...)
	c.remove()
}

// fill moves the rows into a batch.
func (c *changes) fill(batch *pebble.Batch) error {
	for _, r := range c.rows {
		var err error
		if r.remove {
			err = batch.Delete(c.b[r.key:r.value], nil)
		} else {
			err = batch.Set(c.b[r.key:r.value], c.b[r.value:r.end], nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
