package lake

import (
	"math"
	"math/bits"

	"daybook/internal/billing"
)

// Cut is a range of accounts that share a file or a row group. Cuts depend on keys and row counts alone.
type Cut struct {
	First, Last billing.AccountID
	Rows        int64
}

// Cuts splits ascending accounts with their row counts into files of at most limit rows each. An account is never
// split.
//
// The boundaries are content-defined, as the chunks of rsync and LBFS (Muthitacharoen et al., 2001) are, but by keys in
// place of a rolling hash: the accounts are the leaves of a binary trie over their bits, and a file is a largest
// subtree of at most limit rows. So a change in one account moves no boundary of others, unless a subtree crosses the
// limit, and a boundary does not depend on the counts before it.
func Cuts(accounts []billing.AccountID, rows []int64, limit int64) []Cut {
	var cuts []Cut
	before := -1 // bits that the first account shares with the account before it
	for i := 0; i < len(accounts); {
		n, total := subtree(accounts[i:], rows[i:], limit, before)
		cuts = append(cuts, Cut{First: accounts[i], Last: accounts[i+n-1], Rows: total})
		if i += n; i < len(accounts) {
			before = sharedBits(accounts[i-1], accounts[i])
		}
	}
	return cuts
}

// GroupCuts splits a file's accounts into row groups in the same way. An account with more rows than a row group is
// one cut that covers several.
func GroupCuts(accounts []billing.AccountID, rows []int64) []Cut {
	return Cuts(accounts, rows, rowGroupRows)
}

// subtree returns the accounts and the rows of the largest subtree that starts with the first account, has at most
// limit rows or one account, and whose accounts share more than before bits. A caller that does not pass all accounts
// has to pass more than limit rows.
func subtree(accounts []billing.AccountID, rows []int64, limit int64, before int) (n int, total int64) {
	n, total = 1, rows[0]
	sum, shared := rows[0], math.MaxInt
	for i := 1; i < len(accounts); i++ {
		s := sharedBits(accounts[0], accounts[i])
		if s < shared && sum <= limit { // everything before i is a subtree
			n, total = i, sum
		}
		if shared = s; shared <= before || sum > limit {
			return n, total
		}
		sum += rows[i]
	}
	if sum <= limit {
		return len(accounts), sum
	}
	return n, total
}

// sharedBits returns the length of the common prefix of two different accounts in bits. Each byte counts as a one and
// its eight bits, the end of an account as a zero: a code that is prefix-free and has the order of strings.
func sharedBits(a, b billing.AccountID) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return 9*i + 1 + bits.LeadingZeros8(a[i]^b[i])
		}
	}
	return 9 * n
}
