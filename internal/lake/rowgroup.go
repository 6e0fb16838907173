package lake

import (
	"sync"

	"daybook/internal/billing"
)

// idleRows are the rows of row groups that were written: their memory is for the next file.
var idleRows sync.Pool // of *[]EventRow

// rowGroups gathers rows of events and cuts row groups where Cuts would with the same limit,
// and within an account larger than that by rows. It holds at most one row group and a row.
type rowGroups struct {
	pending  []EventRow
	accounts []billing.AccountID // of pending
	rows     []int64             // of each of them
	cutOff   bool                // the first of them has rows in an earlier group
	previous billing.AccountID   // the last account of the group before; empty: none

	limit int // rows of a group
	write func(group []EventRow) error
}

func (g *rowGroups) add(row *EventRow) error {
	if n := len(g.accounts); n == 0 || g.accounts[n-1] != row.Event.Account {
		if g.cutOff { // what is left of a large account is a group of its own
			if err := g.emit(1); err != nil {
				return err
			}
		}
		g.accounts = append(g.accounts, row.Event.Account)
		g.rows = append(g.rows, 0)
	}
	if g.pending == nil {
		if idle, ok := idleRows.Get().(*[]EventRow); ok {
			g.pending = *idle
		}
	}
	g.pending = append(g.pending, *row)
	g.rows[len(g.rows)-1]++
	for len(g.pending) > g.limit {
		if err := g.cut(); err != nil {
			return err
		}
	}
	return nil
}

// close keeps the memory for the next file.
func (g *rowGroups) close() {
	if g.pending = g.pending[:0]; cap(g.pending) > 0 {
		idleRows.Put(&g.pending)
	}
}

// finish writes what is left.
func (g *rowGroups) finish() error {
	for len(g.accounts) > 0 {
		if err := g.cut(); err != nil {
			return err
		}
	}
	return nil
}

// finishBefore writes what is left, where the next group is known to begin with account next.
func (g *rowGroups) finishBefore(next billing.AccountID) error {
	if len(g.accounts) == 0 {
		return nil
	}
	if g.cutOff {
		return g.emit(1)
	}
	// No group goes beyond next. That is so, too, where next alone is more than a group.
	g.accounts, g.rows = append(g.accounts, next), append(g.rows, int64(g.limit)+1)
	for len(g.accounts) > 1 {
		if err := g.cut(); err != nil {
			return err
		}
	}
	g.accounts, g.rows = g.accounts[:0], g.rows[:0]
	return nil
}

// cut writes the first group of what is pending: more than a group, or the end.
func (g *rowGroups) cut() error {
	if len(g.accounts) == 1 && g.rows[0] > int64(g.limit) {
		g.rows[0] -= int64(g.limit)
		g.cutOff = true
		return g.pass(g.limit)
	}
	before := -1
	if g.previous != "" {
		before = sharedBits(g.previous, g.accounts[0])
	}
	n, _ := subtree(g.accounts, g.rows, int64(g.limit), before)
	return g.emit(n)
}

// emit writes the first n accounts as a group.
func (g *rowGroups) emit(n int) error {
	rows := int64(0)
	for _, r := range g.rows[:n] {
		rows += r
	}
	g.previous, g.cutOff = g.accounts[n-1], false
	g.accounts = append(g.accounts[:0], g.accounts[n:]...)
	g.rows = append(g.rows[:0], g.rows[n:]...)
	return g.pass(int(rows))
}

// pass writes the first rows that are pending and lets go of them.
func (g *rowGroups) pass(rows int) error {
	if err := g.write(g.pending[:rows]); err != nil {
		return err
	}
	n := copy(g.pending, g.pending[rows:])
	clear(g.pending[n:])
	g.pending = g.pending[:n]
	return nil
}
