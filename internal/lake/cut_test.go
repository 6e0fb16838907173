package lake

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"daybook/internal/billing"
)

func TestSharedBitsFollowsTheOrderOfStrings(t *testing.T) {
	for _, c := range []struct {
		a, b billing.AccountID
		want int
	}{
		{"a", "b", 1 + 6}, {"a", "ab", 9}, {"ab", "ac", 9 + 1 + 7}, {"", "a", 0}, {"1", "9", 1 + 4},
	} {
		if got := sharedBits(c.a, c.b); got != c.want {
			t.Errorf("sharedBits(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func drawAccounts(t *rapid.T) ([]billing.AccountID, []int64) {
	ids := rapid.SliceOfNDistinct(rapid.StringMatching(`[0-2a\x00]{1,5}`), 1, 60, rapid.ID[string]).Draw(t, "accounts")
	slices.Sort(ids)
	accounts := make([]billing.AccountID, len(ids))
	rows := make([]int64, len(ids))
	for i, id := range ids {
		accounts[i] = billing.AccountID(id)
		rows[i] = rapid.Int64Range(1, 12).Draw(t, "rows")
	}
	return accounts, rows
}

// naiveCuts splits the trie by recursion, as Cuts is defined.
func naiveCuts(accounts []billing.AccountID, rows []int64, limit int64) []Cut {
	total := int64(0)
	for _, r := range rows {
		total += r
	}
	if total <= limit || len(accounts) == 1 {
		return []Cut{{accounts[0], accounts[len(accounts)-1], total}}
	}
	shared := math.MaxInt
	for i := 1; i < len(accounts); i++ {
		shared = min(shared, sharedBits(accounts[i-1], accounts[i]))
	}
	i := 1
	for sharedBits(accounts[i-1], accounts[i]) != shared {
		i++
	}
	return append(naiveCuts(accounts[:i], rows[:i], limit), naiveCuts(accounts[i:], rows[i:], limit)...)
}

func TestCutsAreTheTrie(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		accounts, rows := drawAccounts(t)
		limit := rapid.Int64Range(1, 60).Draw(t, "limit")
		got, want := Cuts(accounts, rows, limit), naiveCuts(accounts, rows, limit)
		if !slices.Equal(got, want) {
			t.Fatalf("got %v\nwant %v", got, want)
		}
	})
}

// TestCutsStayWhereAnotherAccountChanges: a change in one account moves no boundary of others, unless a subtree
// crosses the limit.
func TestCutsStayWhereAnotherAccountChanges(t *testing.T) {
	accounts, rows := make([]billing.AccountID, 2000), make([]int64, 2000)
	for i := range accounts {
		accounts[i], rows[i] = billing.AccountID(fmt.Sprintf("%012d", i*7919)), int64(i%300+1)
	}
	before := Cuts(accounts, rows, 10_000)
	rows[777]++
	after := Cuts(accounts, rows, 10_000)
	if len(before) < 10 || len(before) != len(after) {
		t.Fatalf("%d cuts, then %d", len(before), len(after))
	}
	for i := range before {
		if before[i].First != after[i].First || before[i].Last != after[i].Last {
			t.Errorf("cut %d moved from %v to %v", i, before[i], after[i])
		}
	}
}

func TestCutsOfNothing(t *testing.T) {
	if got := Cuts(nil, nil, 10); got != nil {
		t.Errorf("got %v", got)
	}
}

// TestRowGroupsAreCuts: rowGroupSplitter, which sees row after row, finds the boundaries of Cuts, which knows all
// counts, and splits an account that is larger than a row group by rows.
func TestRowGroupsAreCuts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		accounts, rows := drawAccounts(rt)
		limit := rapid.IntRange(1, 20).Draw(rt, "limit")
		var want []string
		for _, c := range Cuts(accounts, rows, int64(limit)) {
			for left := c.Rows; left > 0; left -= int64(limit) {
				want = append(want, fmt.Sprintf("%s…%s %d", c.First, c.Last, min(left, int64(limit))))
			}
		}
		var got []string
		g := rowGroupSplitter{limit: limit, write: func(first, last billing.AccountID, rows int) error {
			got = append(got, fmt.Sprintf("%s…%s %d", first, last, rows))
			return nil
		}}
		for i, a := range accounts {
			for range rows[i] {
				if err := cmp.Or(g.beginRow(a), g.endRow()); err != nil {
					rt.Fatal(err)
				}
			}
		}
		if err := g.finish(); err != nil {
			rt.Fatal(err)
		}
		if !slices.Equal(got, want) {
			rt.Fatalf("got %v\nwant %v", got, want)
		}
	})
}
