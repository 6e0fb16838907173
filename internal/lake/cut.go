package lake

import (
	"math"
	"math/bits"

	"daybook/internal/billing"
)

// Cut says where a day's accounts are split into files: a function of keys and rows alone.
type Cut struct {
	First, Last billing.AccountID
	Rows        int64
}

// Cuts splits ascending accounts with their row counts into files of at most limit rows each,
// where a single account is never split.
//
// The accounts are the leaves of a binary trie over their bits. A file is a largest subtree of at
// most limit rows, so that a change in one account moves no boundary of others, unless a subtree
// crosses the limit; boundaries do not depend on the counts before them.
func Cuts(accounts []billing.AccountID, rows []int64, limit int64) []Cut {
	var cuts []Cut
	before := -1 // bits that the first account shares with the one before it
	for i := 0; i < len(accounts); {
		n, total := subtree(accounts[i:], rows[i:], limit, before)
		cuts = append(cuts, Cut{First: accounts[i], Last: accounts[i+n-1], Rows: total})
		if i += n; i < len(accounts) {
			before = sharedBits(accounts[i-1], accounts[i])
		}
	}
	return cuts
}

// GroupCuts says likewise where a file's accounts are split into row groups. An account with more rows than a
// row group is one cut of several.
func GroupCuts(accounts []billing.AccountID, rows []int64) []Cut {
	return Cuts(accounts, rows, rowGroupRows)
}

// subtree is the largest subtree that starts with the first account, has at most limit rows or one
// account, and shares more bits than before: how many accounts and rows it has. When accounts were
// cut off, they must hold more than limit rows.
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

// sharedBits counts the leading bits that two different accounts share, where each byte is
// preceded by a one and the end of an account is a zero: prefix-free, and in the order of strings.
func sharedBits(a, b billing.AccountID) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return 9*i + 1 + bits.LeadingZeros8(a[i]^b[i])
		}
	}
	return 9 * n
}
