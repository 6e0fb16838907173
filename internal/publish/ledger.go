package publish

import (
	"cmp"
	"fmt"

	"daybook/internal/billing"
	"daybook/internal/lake"
	"daybook/internal/rollup"
)

// maxNotComplete is the most due days after the last day with events that a manifest lists.
const maxNotComplete = 400

// ledger writes the changes of this release and links those of earlier releases.
func (t *tenantRun) ledger(build *lake.Build, changes []lake.ChangeRow) error {
	if t.prev != nil {
		for _, f := range t.prev.Files {
			if f.Dataset != lake.Changes || f.Rows == 0 {
				continue
			}
			if err := build.Link(f); err != nil {
				return fmt.Errorf("link %s: %w", f.Path, err)
			}
		}
	}
	if len(changes) == 0 {
		return nil
	}
	if _, err := build.WriteChanges(changes); err != nil {
		return fmt.Errorf("write changes: %w", err)
	}
	return nil
}

// summarize counts the changes of a release.
func summarize(changes []lake.ChangeRow) (s lake.ChangeSummary, err error) {
	for i := range changes {
		c := &changes[i]
		var ok bool
		if s.Delta, ok = s.Delta.Add(c.Delta); !ok {
			return s, fmt.Errorf("sum of deltas: %w", rollup.ErrOverflow)
		}
		switch c.Kind {
		case lake.ChangeNew:
			s.New++
			continue
		case lake.ChangeCompleteness:
			s.Completeness++
			continue
		case lake.ChangeRestated:
			s.Restated++
		case lake.ChangeRetracted:
			s.Retracted++
		}
		if s.RestatedAbs, ok = s.RestatedAbs.Add(abs(c.Delta)); !ok {
			return s, fmt.Errorf("sum of restatements: %w", rollup.ErrOverflow)
		}
	}
	return s, nil
}

func abs(m billing.Money) billing.Money {
	if m.Sign() < 0 {
		return m.Neg()
	}
	return m
}

// compareQuarantine is the order of quarantine counts in a manifest.
func compareQuarantine(a, b lake.QuarantineCount) int {
	named := func(q lake.QuarantineCount) int {
		if q.NamesDay {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.ArrivalDay, b.ArrivalDay),
		cmp.Compare(a.Reason, b.Reason), cmp.Compare(named(a), named(b)), cmp.Compare(a.Records, b.Records))
}
