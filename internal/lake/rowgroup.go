package lake

import "daybook/internal/billing"

// rowGroupRows is the greatest number of rows of a row group of events. It is small, so that a release reuses most row
// groups of a file in which a few accounts changed.
const rowGroupRows = 8 << 10

// rowGroupSplitter decides, row after row of events, where row groups end. The boundaries are those of Cuts with the
// same limit; an account with more rows than the limit is split after each limit rows. At most limit+1 rows are
// pending.
type rowGroupSplitter struct {
	limit int // rows of a row group
	write func(first, last billing.AccountID, rows int) error

	pending   int                 // rows in no row group yet
	accounts  []billing.AccountID // of the pending rows
	rows      []int64             // pending rows of each account
	continued bool                // the first account has rows in the row group before
	previous  billing.AccountID   // the last account of the row group before; empty: there is none
}

// beginRow notes that the next row belongs to account a.
func (g *rowGroupSplitter) beginRow(a billing.AccountID) error {
	if n := len(g.accounts); n > 0 && g.accounts[n-1] == a {
		return nil
	}
	if g.continued { // the rest of a large account is a row group of its own
		if err := g.writeAccounts(1); err != nil {
			return err
		}
	}
	g.accounts, g.rows = append(g.accounts, a), append(g.rows, 0)
	return nil
}

// endRow counts a row of the account of the last beginRow.
func (g *rowGroupSplitter) endRow() error {
	g.pending++
	g.rows[len(g.rows)-1]++
	for g.pending > g.limit {
		if err := g.writeFirst(); err != nil {
			return err
		}
	}
	return nil
}

// finish writes all pending rows.
func (g *rowGroupSplitter) finish() error {
	for len(g.accounts) > 0 {
		if err := g.writeFirst(); err != nil {
			return err
		}
	}
	return nil
}

// finishBefore writes all pending rows where the next row group is known to begin with account next.
func (g *rowGroupSplitter) finishBefore(next billing.AccountID) error {
	if len(g.accounts) == 0 {
		return nil
	}
	if g.continued {
		return g.writeAccounts(1)
	}
	// No row group extends beyond next, so the boundaries are the same if next alone is more than a row group.
	g.accounts, g.rows = append(g.accounts, next), append(g.rows, int64(g.limit)+1)
	for len(g.accounts) > 1 {
		if err := g.writeFirst(); err != nil {
			return err
		}
	}
	g.accounts, g.rows = g.accounts[:0], g.rows[:0]
	return nil
}

// writeFirst writes the first row group of the pending rows. They are more than a row group, or the last.
func (g *rowGroupSplitter) writeFirst() error {
	if len(g.accounts) == 1 && g.rows[0] > int64(g.limit) {
		g.rows[0] -= int64(g.limit)
		g.continued = true
		return g.writeRows(g.accounts[0], g.accounts[0], g.limit)
	}
	shared := -1
	if g.previous != "" {
		shared = sharedBits(g.previous, g.accounts[0])
	}
	n, _ := subtree(g.accounts, g.rows, int64(g.limit), shared)
	return g.writeAccounts(n)
}

// writeAccounts writes the rows of the first n accounts as a row group.
func (g *rowGroupSplitter) writeAccounts(n int) error {
	rows := int64(0)
	for _, r := range g.rows[:n] {
		rows += r
	}
	first, last := g.accounts[0], g.accounts[n-1]
	g.previous, g.continued = last, false
	g.accounts = append(g.accounts[:0], g.accounts[n:]...)
	g.rows = append(g.rows[:0], g.rows[n:]...)
	return g.writeRows(first, last, int(rows))
}

// writeRows writes the first pending rows as a row group.
func (g *rowGroupSplitter) writeRows(first, last billing.AccountID, rows int) error {
	g.pending -= rows
	return g.write(first, last, rows)
}
