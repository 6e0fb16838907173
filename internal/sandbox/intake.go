package sandbox

import (
	"fmt"
	"strings"

	"daybook/internal/billing"
	"daybook/internal/cli"
	"daybook/internal/state"
)

// intake is what became of the records that a state consumed.
type intake struct {
	delivered int64
	outcomes  [billing.OutcomeCount]int64
}

// read adds up the outcomes over all partitions of a state.
func (i *intake) read(r *state.Reader) error {
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

// accepted is how many records became part of the books, or would have if a
// greater version were not there: all but the quarantined.
func (i *intake) accepted() int64 { return i.delivered - i.outcomes[billing.Quarantined] }

// since says what came after an earlier intake, e.g. "24 records: 21 new, 1 duplicate".
func (i *intake) since(before intake) string {
	var parts []string
	for o := range billing.OutcomeCount {
		if n := i.outcomes[o] - before.outcomes[o]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", cli.Count(n), o))
		}
	}
	return fmt.Sprintf("%s: %s", cli.Plural(i.delivered-before.delivered, "record"), strings.Join(parts, ", "))
}
