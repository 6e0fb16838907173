package lake

import "daybook/internal/billing"

// rowGroups counts rows of events that are held, and cuts row groups where Cuts would with the same limit,
// and within an account larger than that by rows. At most one row group and a row are held.
type rowGroups struct {
	held     int                 // rows
	accounts []billing.AccountID // of them
	rows     []int64             // of each of these
	cutOff   bool                // the first of them has rows in an earlier group
	previous billing.AccountID   // the last account of the group before; empty: none

	limit int // rows of a group
	write func(first, last billing.AccountID, rows int) error
}

// before takes note that the next row is of an account.
func (g *rowGroups) before(a billing.AccountID) error {
	if n := len(g.accounts); n > 0 && g.accounts[n-1] == a {
		return nil
	}
	if g.cutOff { // what is left of a large account is a group of its own
		if err := g.emit(1); err != nil {
			return err
		}
	}
	g.accounts, g.rows = append(g.accounts, a), append(g.rows, 0)
	return nil
}

// add counts a row of the account that before was told of.
func (g *rowGroups) add() error {
	g.held++
	g.rows[len(g.rows)-1]++
	for g.held > g.limit {
		if err := g.cut(); err != nil {
			return err
		}
	}
	return nil
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

// cut writes the first group of what is held: more than a group, or the end.
func (g *rowGroups) cut() error {
	if len(g.accounts) == 1 && g.rows[0] > int64(g.limit) {
		g.rows[0] -= int64(g.limit)
		g.cutOff = true
		return g.pass(g.accounts[0], g.accounts[0], g.limit)
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
	first, last := g.accounts[0], g.accounts[n-1]
	g.previous, g.cutOff = last, false
	g.accounts = append(g.accounts[:0], g.accounts[n:]...)
	g.rows = append(g.rows[:0], g.rows[n:]...)
	return g.pass(first, last, int(rows))
}

// pass writes the first rows that are held.
func (g *rowGroups) pass(first, last billing.AccountID, rows int) error {
	g.held -= rows
	return g.write(first, last, rows)
}
