package sandbox

import (
	"fmt"
	"strings"

	"daybook/internal/billing"
	"daybook/internal/cli"
	"daybook/internal/state"
)

// recordCounts counts the records that a state consumed, by outcome.
type recordCounts struct {
	delivered int64
	outcomes  [billing.OutcomeCount]int64
}

// read adds the counts of all partitions of a state.
func (i *recordCounts) read(r *state.Reader) error {
	positions, err := r.Positions()
	if err != nil {
		return err
	}
	for _, p := range positions {
		i.delivered += p.Delivered
		for o, n := range p.Outcomes {
			i.outcomes[o] += n
		}
	}
	return nil
}

// accepted is the number of valid events, including those that a greater version supersedes: all records that are not
// quarantined.
func (i *recordCounts) accepted() int64 { return i.delivered - i.outcomes[billing.Quarantined] }

// since describes the records since before, e.g. "24 records: 21 new, 1 duplicate".
func (i *recordCounts) since(before recordCounts) string {
	var parts []string
	for o := range billing.OutcomeCount {
		if n := i.outcomes[o] - before.outcomes[o]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", cli.Count(n), o))
		}
	}
	return fmt.Sprintf("%s: %s", cli.Plural(i.delivered-before.delivered, "record"), strings.Join(parts, ", "))
}
