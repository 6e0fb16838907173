package state

import (
	"math"

	"github.com/cockroachdb/pebble/v2"
)

// changes collects the rows of one atomic write. Each key comes at most once.
// A row is begun, its key and value appended to b, and put; or it lies in memory that was lent, and is referred to.
type changes struct {
	b     []byte
	lent  [][]byte
	rows  []rowChange
	words []keyWord // memory of split, from write to write
	at    int       // where the row in the making begins
	val   int       // where its value begins
}

// rowChange is small, because the rows of a big write are visited in the order of their keys.
type rowChange struct {
	at         int    // of the key in its memory; the value follows
	key, value uint32 // bytes
}

// removed in place of a value's length: the row is deleted.
const removed = math.MaxUint32

// memoryShift separates, in rowChange.at, the place in the memory from the memory's number: 0 is changes.b.
const memoryShift = 40

func (c *changes) reset() { c.b, c.lent, c.rows = c.b[:0], c.lent[:0], c.rows[:0] }

// lend has rows lie in other memory too, under consecutive numbers; it is used until the next reset.
func (c *changes) lend(memory []*[]byte) (first int) {
	first = len(c.lent) + 1
	for _, b := range memory {
		c.lent = append(c.lent, *b)
	}
	return first
}

// refer adds a row that is set and lies in lent memory.
func (c *changes) refer(memory, at int, key, value uint32) {
	c.rows = append(c.rows, rowChange{memory<<memoryShift | at, key, value})
}

// memory is the memory that a row lies in, and where.
func (c *changes) memory(r *rowChange) (b []byte, at int) {
	if n := r.at >> memoryShift; n != 0 {
		return c.lent[n-1], r.at & (1<<memoryShift - 1)
	}
	return c.b, r.at
}

// bytes is about what the rows take.
func (c *changes) bytes() int {
	n := len(c.b)
	for _, b := range c.lent {
		n += len(b)
	}
	return n
}

// key is a row's key.
func (c *changes) key(row int32) []byte {
	r := &c.rows[row]
	b, at := c.memory(r)
	return b[at : at+int(r.key)]
}

// row is a row's key, its value, and whether it is deleted.
func (c *changes) row(row int32) (key, value []byte, remove bool) {
	r := &c.rows[row]
	b, at := c.memory(r)
	end := at + int(r.key)
	if r.value == removed {
		return b[at:end], nil, true
	}
	return b[at:end], b[end : end+int(r.value)], false
}

func (c *changes) begin() { c.at = len(c.b) }
func (c *changes) value() { c.val = len(c.b) }

// put ends a row that is set.
func (c *changes) put() {
	c.rows = append(c.rows, rowChange{c.at, uint32(c.val - c.at), uint32(len(c.b) - c.val)})
}

// cancel gives the row in the making up.
func (c *changes) cancel() { c.b = c.b[:c.at] }

// remove ends a row, of which only the key was appended, that is deleted.
func (c *changes) remove() {
	c.rows = append(c.rows, rowChange{c.at, uint32(len(c.b) - c.at), removed})
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
	for i := range c.rows {
		key, value, remove := c.row(int32(i))
		var err error
		if remove {
			err = batch.Delete(key, nil)
		} else {
			err = batch.Set(key, value, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
