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
	"daybook/internal/extsort"
	"daybook/internal/state/engine"
	"daybook/internal/state/format"
)

// keysPerCore is the number of keys below which another goroutine costs more than it saves.
const keysPerCore = 256

// winnerLookup reads the winners of many events from the store. It is a batched look-up: keys are collected,
// sorted, and probed in their order on all cores, first those of locators, then those of the records that they
// refer to. Neighbouring keys share data blocks, nearly all share index and filter blocks, which are then cached,
// and an iterator moves on from where it is instead of searching from the top.
type winnerLookup struct {
	keys    extsort.Rows    // the keys to look up; values are empty
	entries []int32         // by row of keys: index of the entry that asks
	parsers []versionParser // one a core
}

// storedWinner reads the winner of one event, false if there is none. Locators have no generation after newest.
func (v view) storedWinner(newest format.Generation, t billing.TenantID, id billing.EventID) (storedWinner, bool, error) {
	var table eventTable
	table.reset()
	key := format.AppendEventKey(nil, t, id)
	if _, err := table.add(xxh3.Hash128(key), key); err != nil {
		return storedWinner{}, false, err
	}
	var l winnerLookup
	l.request(0, key)
	if err := l.run(v, newest, &table); err != nil {
		return storedWinner{}, false, err
	}
	e := &table.entries[0]
	return e.stored, e.isStored, nil
}

// lookUp adds the events of parts to the Bloom filter, and makes entries, with the winners that the store holds, of all
// events that may have another version in the store, in the batch, or in quarantine.
func (tx *transaction) lookUp(parts []*PackedPart) error {
	l := &tx.s.mu.lookup
	l.reset()
	filters := tx.filters
	checkQuarantine := !filters.quarantined.empty()
	for _, p := range parts {
		for c := p.cursor(); c.next(); {
			if c.hash == (xxh3.Uint128{}) {
				continue
			}
			maybeStored := filters.events.add(c.hash)
			if !maybeStored && c.unpacked == 0 && (!checkQuarantine || !tx.maybeQuarantined(c.eventKey())) {
				continue
			}
			key := tx.keyOf(&c)
			if tx.events.find(c.hash, key) != nil {
				continue
			}
			if _, err := tx.events.add(c.hash, key); err != nil {
				return err
			}
			if maybeStored {
				l.request(len(tx.events.entries)-1, key)
			}
		}
	}
	return l.run(tx.s.view, tx.totals.Generation, tx.events)
}

// keyOf is the key of the event that a record of a part names. It is valid until the next call.
func (tx *transaction) keyOf(c *partCursor) []byte {
	r := c.unpackedRecord()
	if r == nil {
		return c.eventKey()
	}
	t, id := r.eventID()
	tx.key = format.AppendEventKey(tx.key[:0], t, id)
	return tx.key
}

// maybeQuarantined reports whether the quarantine may hold a version of an event.
func (tx *transaction) maybeQuarantined(event []byte) bool {
	tx.key = append(append(tx.key[:0], format.SpaceByEvent), event...)
	return tx.filters.quarantined.has(xxh3.Hash128(tx.key))
}

// reset removes all requests.
func (l *winnerLookup) reset() {
	l.keys.Reset()
	l.entries = l.entries[:0]
}

// request asks for the winner of the event with that key, for an entry.
func (l *winnerLookup) request(entry int, event []byte) {
	l.keys.Set(event, nil)
	l.entries = append(l.entries, int32(entry))
}

// run sets stored of the entries that were requested and that the store has.
func (l *winnerLookup) run(v view, newest format.Generation, table *eventTable) error {
	err := l.onAllCores(func(refs []extsort.Ref, _ *versionParser) error { return l.readLocators(v, newest, refs, table) })
	if err != nil {
		return err
	}
	requested := l.entries
	l.reset() // the loop appends to the memory of requested, but never overtakes itself
	for _, at := range requested {
		e := &table.entries[at]
		switch {
		case !e.isStored:
		case e.stored.winner.Deleted:
			e.setStored()
		default:
			l.keys.Begin()
			l.keys.Buf, _ = format.AppendRecordKeyOfLocator(l.keys.Buf, e.locatorKey, e.stored.winner.Account, e.stored.winner.Day)
			l.keys.EndKey()
			l.keys.End()
			l.entries = append(l.entries, at)
		}
	}
	return l.onAllCores(func(refs []extsort.Ref, p *versionParser) error { return l.readRecords(v, refs, table, p) })
}

// onAllCores sorts the keys and calls do with a share of them on each core.
func (l *winnerLookup) onAllCores(do func(refs []extsort.Ref, p *versionParser) error) error {
	refs := l.keys.Sort()
	if len(refs) == 0 {
		return nil
	}
	if l.parsers == nil {
		l.parsers = make([]versionParser, runtime.GOMAXPROCS(0))
	}
	var g errgroup.Group
	cores := min(len(l.parsers), 1+len(refs)/keysPerCore)
	for i := range cores {
		g.Go(func() error { return do(refs[len(refs)*i/cores:len(refs)*(i+1)/cores], &l.parsers[i]) })
	}
	return g.Wait()
}

// readLocators reads the locators of events, in one generation after the other. It overwrites refs.
func (l *winnerLookup) readLocators(v view, newest format.Generation, refs []extsort.Ref, table *eventTable) (err error) {
	for g := newest; len(refs) > 0 && err == nil; g-- {
		prefix := binary.BigEndian.AppendUint16([]byte{format.SpaceLocator}, uint16(g))
		refs, err = l.probe(v, prefix, refs, 0, func(row int32, _, value []byte) error {
			winner, err := format.ParseLocatorValue(value)
			e := &table.entries[l.entries[row]]
			e.stored, e.isStored = storedWinner{generation: g, winner: winner}, true
			return err
		})
		if g == 0 {
			break
		}
	}
	return err
}

// readRecords reads the records of events, those with an overlay from there. It overwrites refs.
func (l *winnerLookup) readRecords(v view, refs []extsort.Ref, table *eventTable, p *versionParser) (err error) {
	var row []byte
	for _, space := range [...]byte{format.SpaceOverlay, format.SpaceRecord} {
		refs, err = l.probe(v, []byte{space}, refs, 1, func(i int32, key, value []byte) error {
			e := &table.entries[l.entries[i]]
			version, err := p.parse(key, value)
			if err != nil {
				return err
			}
			row = append(append(row[:0], key...), value...)
			s := &e.stored
			s.winner.Account, s.winner.Version, s.winner.Digest, s.cost = version.Account, version.Version, version.Digest, version.cost
			s.digest, s.overlay = format.HashRecord(row), space == format.SpaceOverlay
			e.setStored()
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(refs) > 0 {
		return fmt.Errorf("%w: an event has no record where its locator says", ErrDamaged)
	}
	return nil
}

// probe calls f with the row of each key, and returns the keys that have none, in the memory of refs. The first
// skip bytes of a key are replaced by prefix.
func (l *winnerLookup) probe(v view, prefix []byte, refs []extsort.Ref, skip int, f func(row int32, key, value []byte) error) (missing []extsort.Ref, err error) {
	it, err := v.r.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: format.PrefixEnd(prefix), UseL6Filters: true})
	if err != nil {
		return nil, engine.ReadError(err)
	}
	defer func() {
		if e := it.Close(); e != nil && err == nil {
			err = engine.ReadError(e)
		}
	}()
	missing = refs[:0]
	key := bytes.Clone(prefix)
	for _, ref := range refs {
		key = append(key[:len(prefix)], l.keys.Key(ref.Row)[skip:]...)
		if !it.SeekPrefixGE(key) {
			if err := it.Error(); err != nil {
				return nil, engine.ReadError(err)
			}
			missing = append(missing, ref)
			continue
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, engine.ReadError(err)
		}
		if err := f(ref.Row, key, value); err != nil {
			return nil, err
		}
	}
	return missing, nil
}
