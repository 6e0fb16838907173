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

// cutWriter writes a day's files of events. Row groups in which nothing changed are taken over from the
// released files. What is written is added up again on its way; either is held against the day's rows.
type cutWriter struct {
	*dayBuilder
	w        *dayWork
	rows     map[billing.AccountID]*lake.AccountDayRow
	changed  func(first, last billing.AccountID) bool
	released map[string]*lake.ReleasedEvents // opened so far, by path
	r        *dayResult
}

// write writes a file with the events of accounts, of which each has so many.
func (c *cutWriter) write(ctx context.Context, part int, accounts []billing.AccountID, counts []int64) (lake.File, error) {
	var segments []lake.Segment
	var first, last billing.AccountID // of the rows not yet in a segment; empty: there are none
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
		kept, err := c.keep(cut, own)
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
		c.r.faults.add(gateSums, fmt.Sprintf("events of %s, accounts %q to %q: %d accounts written, %d expected", c.w.day, f.First, f.Last, seen, expected))
	}
	return f, nil
}

// keep finds the released row groups of a cut in which nothing changed; nil where there are none.
func (c *cutWriter) keep(cut lake.Cut, accounts []billing.AccountID) (*lake.ReusedRowGroups, error) {
	if c.changed(cut.First, cut.Last) {
		return nil, nil
	}
	for _, f := range c.w.of(lake.Events) {
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
		kept, ok := c.released[f.Path].Groups(cut)
		if !ok {
			return nil, nil
		}
		want, okWant := billing.Money{}, true
		for _, a := range accounts {
			want, okWant = plus(want, okWant, c.rows[a].Total)
		}
		if sum, ok := kept.Sum(); !ok || !okWant || sum != want {
			c.r.faults.add(gateSums, fmt.Sprintf("released events of accounts %q to %q on %s come to %s, their account-days to %s", cut.First, cut.Last, c.w.day, sum, want))
		}
		return kept, nil
	}
	return nil, nil
}

// events are the events of a range of accounts. Those of each account are held against its row, and the
// account is counted in seen.
func (c *cutWriter) events(ctx context.Context, first, last billing.AccountID, seen *int) iter.Seq2[*lake.EventRow, error] {
	return func(yield func(*lake.EventRow, error) bool) {
		var row lake.EventRow
		var account billing.AccountID
		var total billing.Money
		var count int64
		end := func() {
			if account == "" {
				return
			}
			if is := c.rows[account]; is == nil || is.Total != total || is.Events != count {
				c.r.faults.add(gateSums, fmt.Sprintf("events of account %q on %s come to %s in %d events, its account-day does not", account, c.w.day, total, count))
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

// plus adds to a sum that may have overflowed before.
func plus(sum billing.Money, ok bool, m billing.Money) (billing.Money, bool) {
	if !ok {
		return sum, false
	}
	return sum.Add(m)
}
