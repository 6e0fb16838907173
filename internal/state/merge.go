package state

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/bits"
	"slices"
)

// merge reads runs as one, ascending by key. Rows of one key come in no order.
//
// It is a tree of losers: at each node waits the run that lost there, so a run that goes on to its next row plays
// once a level. All that it plays with are told from one row, the one passed on last, and that says most: of two rows
// the one that has more in common with it comes first, and of two that have as much the one whose next bytes are less.
// So keys are seldom compared.
type merge struct {
	runs   []*runReader
	winner contender
	losers []contender // by node, from 1 on; node n is above 2n and 2n+1, and of n runs the first is at n
	high   []byte      // where it ends; nil: nowhere
	begun  bool
}

// contender is a run and the code of its row.
type contender struct {
	code uint64
	run  uint64 // in merge.runs
}

const (
	codeUnit  = 6              // bytes of a key
	codeUnits = 1<<16 - 2      // no key has more units
	codeLast  = math.MaxUint64 // of a run that has ended; no row has it
)

// codeOf tells a key from a lesser one with which it has its first bytes in common: how many units these are, so that
// more are less, and the unit that follows.
func codeOf(key []byte, common int) uint64 {
	units := common / codeUnit
	return uint64(codeUnits-units)<<(8*codeUnit) | wordAt(key[units*codeUnit:])>>(64-8*codeUnit)
}

// mergeMemory is what a merge reads with at most. With more, what was read is no longer near the core when its rows come:
// of 200 runs each took twice as long with 8 MiB.
const mergeMemory = 3 << 20

// newMerge merges the rows of [low, high); nil is the beginning, or the end. It reads with some memory bytes, or less.
func newMerge(runs []run, low, high []byte, memory int) (*merge, error) {
	m := &merge{high: high}
	size := min(max(min(memory, mergeMemory)/max(len(runs), 1), runBuffer), greatBuffer)
	for i := range runs {
		r := runs[i].open(low, size)
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
		m.runs = append(m.runs, r)
	}
	m.losers = make([]contender, len(m.runs))
	m.winner = contender{code: codeLast}
	if len(m.runs) > 0 {
		m.winner = m.play(1)
	}
	return m, nil
}

// play has the runs below a node play, and is the one that wins.
func (m *merge) play(node int) contender {
	if n := node - len(m.runs); n >= 0 {
		return contender{codeOf(m.runs[n].key, 0), uint64(n)}
	}
	a, b := m.play(2*node), m.play(2*node+1)
	m.decide(&a, &b)
	m.losers[node] = b
	return a
}

// next is the next row, valid until the call after it; io.EOF after the last.
func (m *merge) next() (key, value []byte, err error) {
	if m.begun {
		if err := m.pass(); err != nil {
			return nil, nil, err
		}
	}
	m.begun = true
	if m.winner.code == codeLast {
		return nil, nil, io.EOF
	}
	r := m.runs[m.winner.run]
	if m.high != nil && bytes.Compare(r.key, m.high) >= 0 {
		return nil, nil, io.EOF
	}
	return r.key, r.value, nil
}

// pass goes past the row passed on last.
func (m *merge) pass() error {
	c := m.winner
	if c.code == codeLast {
		return nil
	}
	r := m.runs[c.run]
	switch err := r.next(); {
	case err == nil:
		c.code = codeOf(r.key, r.common)
	case errors.Is(err, io.EOF):
		c.code = codeLast
	default:
		return err
	}
	for node := (int(c.run) + len(m.runs)) / 2; node > 0; node /= 2 {
		l := &m.losers[node]
		if l.code == c.code {
			m.decide(&c, l)
			continue
		}
		// Which of the two is less cannot be foretold, so there is no branch.
		_, swap := bits.Sub64(l.code, c.code, 0)
		code, run := (l.code^c.code)&-swap, (l.run^c.run)&-swap
		l.code, c.code = l.code^code, c.code^code
		l.run, c.run = l.run^run, c.run^run
	}
	m.winner = c
	return nil
}

// decide makes a the less of two. The code of the other then tells it from a: if the two codes differ, it does already,
// since the rows differ from each other where the greater differs from the row passed on last.
func (m *merge) decide(a, b *contender) {
	if a.code != b.code || a.code == codeLast {
		if b.code < a.code {
			*a, *b = *b, *a
		}
		return
	}
	common := (codeUnits - int(a.code>>(8*codeUnit))) * codeUnit
	x, y := m.runs[a.run].key, m.runs[b.run].key
	common += commonBytes(x[common:], y[common:])
	if bytes.Compare(y[common:], x[common:]) < 0 {
		*a, *b = *b, *a
		y = x
	}
	b.code = codeOf(y, common)
}

// split are the keys that cut the rows of runs in n ranges of about one size.
func split(runs []run, n int) (keys [][]byte) {
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
