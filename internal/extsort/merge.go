package extsort

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/bits"
	"slices"
)

// Merger reads runs as one: a k-way merge by a loser tree with offset-value codes.
//
// Each inner node of the tree holds the run that lost there, so that when the winner goes to its next row, that row
// plays one game a level. All rows that play have a code relative to one row, the last winner: how long the prefix
// is that they share with it, and the bytes that follow. Of two rows the one with the longer shared prefix is less,
// and of two with equally long ones the one whose next bytes are less. So a game compares two integers, and keys
// only if these are equal.
type Merger struct {
	readers []*runReader
	winner  contender
	losers  []contender // by node, from 1 on; node n is above 2n and 2n+1, and of n runs the first is at n
	high    []byte      // where the merge ends; nil: at the last row
	begun   bool
}

// contender is a run and the offset-value code of its row.
type contender struct {
	code uint64
	run  uint64 // in Merger.readers
}

const (
	ovcUnitBytes = 6              // the value of a code
	ovcUnits     = 1<<16 - 2      // the greatest offset of a code, in units
	ovcEnd       = math.MaxUint64 // the code of a run that has ended; no row has it
)

// offsetValueCode is the code of key relative to a lesser key with which it shares a prefix of common bytes. It has
// in its upper 16 bits how many whole units are shared, so that more are less, and in the others the unit that
// follows.
func offsetValueCode(key []byte, common int) uint64 {
	units := common / ovcUnitBytes
	return uint64(ovcUnits-units)<<(8*ovcUnitBytes) | digitAt(key[units*ovcUnitBytes:])>>(64-8*ovcUnitBytes)
}

// MaxMergeMemory is the most that a merge uses for its buffers, unless 16 KiB a run is more. With more, what was
// read has left the processor's cache when its rows are used: with 8 MiB a row of 200 runs took twice as long.
const MaxMergeMemory = 3 << 20

// NewMerger merges the rows of runs whose keys are in [low, high); nil means no bound. Its buffers take memory
// bytes, within the bounds that the package's comment gives.
func NewMerger(runs []Run, low, high []byte, memory int) (*Merger, error) {
	m := &Merger{high: high}
	size := min(max(min(memory, MaxMergeMemory)/max(len(runs), 1), minRunBuffer), maxRunBuffer)
	for i := range runs {
		r := runs[i].reader(low, size)
		err := r.next()
		for err == nil && bytes.Compare(r.key, low) < 0 {
			err = r.next()
		}
		if errors.Is(err, io.EOF) {
			continue
		}
		if err != nil {
			return nil, err
		}
		m.readers = append(m.readers, r)
	}
	m.losers = make([]contender, len(m.readers))
	m.winner = contender{code: ovcEnd}
	if len(m.readers) > 0 {
		m.winner = m.playAll(1)
	}
	return m, nil
}

// playAll plays all games at and below a node, and returns the winner.
func (m *Merger) playAll(node int) contender {
	if n := node - len(m.readers); n >= 0 {
		return contender{offsetValueCode(m.readers[n].key, 0), uint64(n)}
	}
	a, b := m.playAll(2*node), m.playAll(2*node+1)
	m.play(&a, &b)
	m.losers[node] = b
	return a
}

// Next is the next row, valid until Next is called again. io.EOF after the last.
func (m *Merger) Next() (key, value []byte, err error) {
	if m.begun {
		if err := m.advance(); err != nil {
			return nil, nil, err
		}
	}
	m.begun = true
	if m.winner.code == ovcEnd {
		return nil, nil, io.EOF
	}
	r := m.readers[m.winner.run]
	if m.high != nil && bytes.Compare(r.key, m.high) >= 0 {
		return nil, nil, io.EOF
	}
	return r.key, r.value, nil
}

// advance moves the winner's run to its next row and plays the games on its way to the root.
func (m *Merger) advance() error {
	c := m.winner
	if c.code == ovcEnd {
		return nil
	}
	r := m.readers[c.run]
	switch err := r.next(); {
	case err == nil:
		c.code = offsetValueCode(r.key, r.common)
	case errors.Is(err, io.EOF):
		c.code = ovcEnd
	default:
		return err
	}
	for node := (int(c.run) + len(m.readers)) / 2; node > 0; node /= 2 {
		l := &m.losers[node]
		if l.code == c.code {
			m.play(&c, l)
			continue
		}
		// Which of the two is less cannot be predicted, so the exchange has no branch.
		_, swap := bits.Sub64(l.code, c.code, 0)
		code, run := (l.code^c.code)&-swap, (l.run^c.run)&-swap
		l.code, c.code = l.code^code, c.code^code
		l.run, c.run = l.run^run, c.run^run
	}
	m.winner = c
	return nil
}

// play makes a the lesser of two rows that have codes relative to the same row, and gives b, the loser, its code
// relative to a. If the codes differ, the loser's is right already: where it differs from the row before, it also
// differs from the winner, by the same bytes.
func (m *Merger) play(a, b *contender) {
	if a.code != b.code || a.code == ovcEnd {
		if b.code < a.code {
			*a, *b = *b, *a
		}
		return
	}
	common := (ovcUnits - int(a.code>>(8*ovcUnitBytes))) * ovcUnitBytes
	x, y := m.readers[a.run].key, m.readers[b.run].key
	common += commonPrefix(x[common:], y[common:])
	if bytes.Compare(y[common:], x[common:]) < 0 {
		*a, *b = *b, *a
		y = x
	}
	b.code = offsetValueCode(y, common)
}

// SplitRuns is up to n-1 keys that divide the rows of runs into n ranges of about one size, for as many Mergers.
func SplitRuns(runs []Run, n int) (keys [][]byte) {
	var all [][]byte
	for _, r := range runs {
		for _, m := range r.marks {
			all = append(all, m.key)
		}
	}
	slices.SortFunc(all, bytes.Compare)
	for i := 1; i < n && len(all) > 0; i++ {
		keys = append(keys, all[i*len(all)/n])
	}
	return slices.CompactFunc(keys, bytes.Equal)
}
