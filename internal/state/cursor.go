package state

import (
	"bytes"
	"errors"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"daybook/internal/state/engine"
)

// cursor reads several ranges of keys as one, ascending by tail: the part of a key after its first head bytes. Of
// rows with equal tails, the one of the range that was added last counts and the others are skipped.
type cursor struct {
	head int
	its  []*pebble.Iterator // each at its next row
	at   int                // index of the iterator at the cursor's row; -1: none
	buf  []byte             // memory of recordKey
}

// add adds a range of keys.
func (c *cursor) add(v view, low, high []byte) error {
	it, err := v.r.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
	if err != nil {
		return engine.ReadError(err)
	}
	c.its = append(c.its, it)
	return nil
}

// each calls f with each row and its recordKey. Key and value
// are valid until f returns. io.EOF from f ends the scan without error.
func (c *cursor) each(f func(key, value []byte) error) error {
	for ok := c.first(); ok; ok = c.next() {
		value, err := c.value()
		if err != nil {
			return err
		}
		if err := f(c.recordKey(), value); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return c.error()
}

func (c *cursor) first() bool {
	for _, it := range c.its {
		it.First()
	}
	return c.findLeast()
}

func (c *cursor) next() bool {
	c.its[c.at].Next()
	return c.findLeast()
}

// findLeast moves the cursor to the row with the least tail and reports whether there is one.
func (c *cursor) findLeast() bool {
	c.at = -1
	var least []byte
	for i, it := range c.its {
		if !it.Valid() {
			continue
		}
		tail := it.Key()[c.head:]
		if c.at >= 0 {
			order := bytes.Compare(tail, least)
			if order > 0 {
				continue
			}
			if order == 0 {
				c.its[c.at].Next()
			}
		}
		c.at, least = i, tail
	}
	return c.at >= 0
}

func (c *cursor) valid() bool { return c.at >= 0 }

func (c *cursor) tail() []byte { return c.its[c.at].Key()[c.head:] }

func (c *cursor) value() ([]byte, error) {
	value, err := c.its[c.at].ValueAndErr()
	if err != nil {
		return nil, engine.ReadError(err)
	}
	return value, nil
}

// error is the first error that an iterator met; an iterator that met one is no longer valid.
func (c *cursor) error() error {
	for _, it := range c.its {
		if err := it.Error(); err != nil {
			return engine.ReadError(err)
		}
	}
	return nil
}

// close closes the iterators. It returns err, or if that is nil the first error of closing: an iterator that
// failed returns its error again when it is closed.
func (c *cursor) close(err error) error {
	for _, it := range c.its {
		if e := it.Close(); e != nil && err == nil {
			err = engine.ReadError(e)
		}
	}
	return err
}
