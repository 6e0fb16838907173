package publish

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"daybook/internal/billing"
	"daybook/internal/lake"
	"daybook/internal/rollup"
)

// eventFileWriter writes a day's files of events. Row groups in which nothing changed are copied from the released
// files. The sums of copied row groups and of written events are compared with the day's rows.
type eventFileWriter struct {
	*dayBuilder
	w        *dayPlan
	rows     map[billing.AccountID]*lake.AccountDayRow
	changed  func(first, last billing.AccountID) bool
	released map[string]*lake.ReleasedEvents // opened so far, by path
	r        *dayResult
}

// write writes a file with the events of accounts; counts are their numbers of events.
func (c *eventFileWriter) write(ctx context.Context, part int, accounts []billing.AccountID, counts []int64) (lake.File, error) {
	var segments []lake.Segment
	var first, last billing.AccountID // of the accounts not yet in a segment; empty: none
	expected, seen := 0, 0
	flush := func() {
		if first != "" {
			segments = append(segments, lake.Segment{Rows: c.events(ctx, first, last, &seen)})
			first = ""
		}
	}
	for _, cut := range lake.GroupCuts(accounts, counts) {
		n := 0
		for n < len(accounts) && accounts[n] <= cut.Last {
			n++
		}
		own := accounts[:n]
		accounts = accounts[n:]
		kept, err := c.reusable(cut, own)
		if err != nil {
			return lake.File{}, err
		}
		if kept != nil {
			flush()
			segments = append(segments, lake.Segment{Reused: kept})
			continue
		}
		if last = cut.Last; first == "" {
			first = cut.First
		}
		expected += n
	}
	flush()
	f, err := c.build.WriteEvents(c.w.day, part, segments...)
	if err != nil {
		return f, fmt.Errorf("write events of %s: %w", c.w.day, err)
	}
	if seen != expected {
		c.r.faults.add(gateTotals, fmt.Sprintf("events of %s, accounts %q to %q: %d accounts written, %d in daily_account_cost", c.w.day, f.First, f.Last, seen, expected))
	}
	return f, nil
}

// reusable finds the released row groups of a cut in which nothing changed; nil if there are none.
func (c *eventFileWriter) reusable(cut lake.Cut, accounts []billing.AccountID) (*lake.ReusedRowGroups, error) {
	if c.changed(cut.First, cut.Last) {
		return nil, nil
	}
	for _, f := range c.w.files[lake.Events] {
		if cut.First < f.First || f.Last < cut.Last {
			continue
		}
		if c.released[f.Path] == nil {
			released, err := c.series.OpenEvents(c.prev, f)
			if err != nil {
				return nil, err
			}
			c.released[f.Path] = released
		}
		kept, ok := c.released[f.Path].RowGroups(cut)
		if !ok {
			return nil, nil
		}
		want, okWant := billing.Money{}, true
		for _, a := range accounts {
			want, okWant = plus(want, okWant, c.rows[a].Total)
		}
		if sum, ok := kept.Sum(); !ok || !okWant || sum != want {
			c.r.faults.add(gateTotals, fmt.Sprintf("released events of accounts %q to %q on %s sum to %s, their account-days to %s", cut.First, cut.Last, c.w.day, sum, want))
		}
		return kept, nil
	}
	return nil, nil
}

// events are the events of a range of accounts, both ends inclusive. The sum of each account is compared with its
// row, and seen counts the accounts.
func (c *eventFileWriter) events(ctx context.Context, first, last billing.AccountID, seen *int) iter.Seq2[*lake.EventRow, error] {
	return func(yield func(*lake.EventRow, error) bool) {
		var row lake.EventRow
		var account billing.AccountID
		var total billing.Money
		var count int64
		end := func() {
			if account == "" {
				return
			}
			if row := c.rows[account]; row == nil || row.Total != total || row.Events != count {
				c.r.faults.add(gateTotals, eventsLine(account, c.w.day, total, count, row))
			}
			*seen++
		}
		for e, err := range eventsOf(ctx, c.reader, c.tenant, c.w.day, first, after(last)) {
			if err != nil {
				yield(nil, err)
				return
			}
			if e.Account != account {
				end()
				account, total, count = billing.AccountID(strings.Clone(string(e.Account))), billing.Money{}, 0
			}
			var ok bool
			if total, ok = total.Add(e.Cost); !ok {
				yield(nil, rollup.ErrOverflow)
				return
			}
			count++
			if err := c.row(e, &row); !yield(&row, err) || err != nil {
				return
			}
		}
		end()
	}
}

// eventsLine says how an account's events differ from its row; row may be nil.
func eventsLine(a billing.AccountID, d billing.Day, total billing.Money, events int64, row *lake.AccountDayRow) string {
	line := fmt.Sprintf("account %q on %s: events sum to %s (%d events), ", a, d, total, events)
	if row == nil {
		return line + "and there is no account-day"
	}
	return line + fmt.Sprintf("the account-day is %s (%d events)", row.Total, row.Events)
}

// plus adds m to a sum; ok is false once the sum has overflowed.
func plus(sum billing.Money, ok bool, m billing.Money) (billing.Money, bool) {
	if !ok {
		return sum, false
	}
	return sum.Add(m)
}
