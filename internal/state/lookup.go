package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"

	"github.com/cockroachdb/pebble/v2"
	"github.com/zeebo/xxh3"
	"golang.org/x/sync/errgroup"

	"daybook/internal/billing"
	"daybook/internal/dedup"
	"daybook/internal/extsort"
	"daybook/internal/state/engine"
	"daybook/internal/state/format"
)

// lookupShare is the number of look-ups below which another goroutine costs more than it brings.
const lookupShare = 256

// lookup asks the store for the winners of many events at once: first for the locators, then for the records,
// each in the order of their keys and on all cores. Of a hundred thousand events some share a block, most an index block
// and all a filter, which are then at hand, and an iterator goes on from where it is.
type lookup struct {
	keys  extsort.Rows     // what is asked for; no values
	slots []int32          // whose each key is
	words []format.Strings // of each core
}

// stored finds the winner of one event, nil if there is none.
func (v view) stored(newest format.Generation, t billing.TenantID, id billing.EventID) (*stored, error) {
	var l lookup
	slots := []slot{{key: string(format.AppendEventKey(nil, t, id)), tenant: t, id: id}}
	l.ask(0, &slots[0])
	err := l.answer(v, newest, slots)
	return slots[0].prev, err
}

// lookUp adds the events of parts to the filter, and makes slots, with the winners that the store holds, of all that may have
// another version there, in the batch, or in quarantine.
func (w *write) lookUp(parts []*Part) error {
	l := &w.s.mu.lookup
	l.reset()
	quarantine := !w.s.held.empty()
	for _, p := range parts {
		for c := p.cursor(); c.step(); {
			if c.hash == (xxh3.Uint128{}) {
				continue
			}
			maybe := w.s.filter.add(c.hash)
			if !maybe && c.rare == 0 && (!quarantine || !w.heldUp(c.eventKey())) {
				continue
			}
			var key []byte
			if r := c.rareRecord(); r != nil {
				key = w.rareKey(r)
			} else {
				key = c.eventKey()
			}
			if w.slots.find(c.hash, key) != nil {
				continue
			}
			sl, err := w.slots.add(c.hash, key)
			if err != nil {
				return err
			}
			if maybe {
				l.ask(len(w.slots.all)-1, sl)
			}
		}
	}
	return l.answer(w.s.view, w.totals.Generation, w.slots.all)
}

// heldUp reports whether the quarantine may hold a version of an event.
func (w *write) heldUp(event []byte) bool {
	w.key = append(append(w.key[:0], format.SpaceByEvent), event...)
	return w.s.held.has(xxh3.Hash128(w.key))
}

// reset forgets all events.
func (l *lookup) reset() {
	l.keys.Reset()
	l.slots = l.slots[:0]
}

// ask adds the event of a slot.
func (l *lookup) ask(at int, sl *slot) {
	l.keys.Begin()
	l.keys.Buf = append(l.keys.Buf, sl.key...)
	l.add(at)
}

// add adds the key in the making.
func (l *lookup) add(at int) {
	l.keys.EndKey()
	l.keys.End()
	l.slots = append(l.slots, int32(at))
}

// answer gives the slots asked for the winners that the store holds. No locator is of a generation after newest.
func (l *lookup) answer(v view, newest format.Generation, slots []slot) error {
	err := l.share(func(rows []extsort.Ref, _ *format.Strings) error { return l.locate(v, newest, rows, slots) })
	if err != nil {
		return err
	}
	located := l.slots
	l.reset()
	for _, at := range located {
		sl := &slots[at]
		switch {
		case sl.prev == nil:
		case sl.prev.winner.Deleted:
			e := billing.Event{Op: billing.Delete, Tenant: sl.tenant, ID: sl.id}
			sl.prev.winner.Digest = e.Digest()
			sl.hold()
		default:
			l.keys.Begin()
			l.keys.Buf = format.AppendRecordKey(l.keys.Buf, billing.AccountDay{Tenant: sl.tenant, Account: sl.prev.winner.Account, Day: sl.prev.winner.Day}, sl.id)
			l.add(int(at)) // never overtakes the loop
		}
	}
	return l.share(func(rows []extsort.Ref, words *format.Strings) error { return l.read(v, rows, slots, words) })
}

// share sorts the keys and has each core do its part of them.
func (l *lookup) share(do func(rows []extsort.Ref, words *format.Strings) error) error {
	rows := l.keys.Sort()
	if len(rows) == 0 {
		return nil
	}
	if l.words == nil {
		l.words = make([]format.Strings, runtime.GOMAXPROCS(0))
	}
	var g errgroup.Group
	cores := min(len(l.words), 1+len(rows)/lookupShare)
	for i := range cores {
		g.Go(func() error { return do(rows[len(rows)*i/cores:len(rows)*(i+1)/cores], &l.words[i]) })
	}
	return g.Wait()
}

// locate looks for the locators of events, in one generation after the other. It uses up rows.
func (l *lookup) locate(v view, newest format.Generation, rows []extsort.Ref, slots []slot) (err error) {
	for g := newest; len(rows) > 0 && err == nil; g-- {
		head := binary.BigEndian.AppendUint16([]byte{format.SpaceLocator}, uint16(g))
		rows, err = l.seek(v, head, rows, 0, func(row int32, _, value []byte) error {
			w, err := format.ParseLocatorValue(value)
			slots[l.slots[row]].prev = &stored{generation: g, winner: w}
			return err
		})
		if g == 0 {
			break
		}
	}
	return err
}

// read reads the records of events, first among the amended. It uses up rows.
func (l *lookup) read(v view, rows []extsort.Ref, slots []slot, words *format.Strings) (err error) {
	var whole []byte
	for _, space := range [...]byte{format.SpaceOverlay, format.SpaceRecord} {
		rows, err = l.seek(v, []byte{space}, rows, 1, func(row int32, key, value []byte) error {
			sl := &slots[l.slots[row]]
			e := billing.Event{Tenant: sl.tenant, ID: sl.id, Account: sl.prev.winner.Account, Day: sl.prev.winner.Day}
			if err := format.ParseRecordValue(value, &e, words); err != nil {
				return err
			}
			st := sl.prev
			st.winner.Version, st.winner.Digest, st.cost = e.Version, e.Digest(), e.Cost
			st.amended = space == format.SpaceOverlay
			whole = append(append(whole[:0], key...), value...)
			st.row = format.HashRecord(whole)
			sl.hold()
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(rows) > 0 {
		return fmt.Errorf("%w: an event has no record where its locator says", ErrDamaged)
	}
	return nil
}

// seek calls f with the row of each key, where head stands for the first own bytes of the key, and returns the keys
// that have none, in the memory of rows.
func (l *lookup) seek(v view, head []byte, rows []extsort.Ref, own int, f func(row int32, key, value []byte) error) (left []extsort.Ref, err error) {
	it, err := v.r.NewIter(&pebble.IterOptions{LowerBound: head, UpperBound: format.PrefixEnd(head), UseL6Filters: true})
	if err != nil {
		return nil, engine.ReadError(err)
	}
	defer func() {
		if e := it.Close(); e != nil && err == nil {
			err = engine.ReadError(e)
		}
	}()
	left = rows[:0]
	key := bytes.Clone(head)
	for _, row := range rows {
		key = append(key[:len(head)], l.keys.Key(row.Row)[own:]...)
		if !it.SeekPrefixGE(key) {
			if err := it.Error(); err != nil {
				return nil, engine.ReadError(err)
			}
			left = append(left, row)
			continue
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, engine.ReadError(err)
		}
		if err := f(row.Row, key, value); err != nil {
			return nil, err
		}
	}
	return left, nil
}

// stored is a winner as the state holds it; lookup finds it.
type stored struct {
	generation format.Generation // of its locator
	winner     dedup.Winner
	cost       billing.Money
	row        format.SetDigest // of its record; zero when deleted
	amended    bool             // its record lies among the amended
}
