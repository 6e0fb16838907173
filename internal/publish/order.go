package publish

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"daybook/internal/billing"
)

// lightestFirst orders tenants by how many account-days changed since their releases, so that one with a flood
// of events is published after all others and none waits for it. What a state says is covered is advice, and so
// is this order: no number depends on it.
func lightestFirst(c *Checkpoint, tenants []billing.TenantID) ([]billing.TenantID, error) {
	if len(tenants) < 2 {
		return tenants, nil
	}
	changed := make(map[billing.TenantID]int, len(tenants))
	for _, t := range tenants {
		covered, err := c.Covered(t)
		if err != nil {
			return nil, fmt.Errorf("read what tenant %s's release covers: %w", t, err)
		}
		for m, err := range c.Markers(t, math.MinInt32, math.MaxInt32) {
			if err != nil {
				return nil, fmt.Errorf("read markers of tenant %s: %w", t, err)
			}
			if m.Sequence > covered {
				changed[t]++
			}
		}
	}
	out := slices.Clone(tenants)
	slices.SortStableFunc(out, func(a, b billing.TenantID) int { return cmp.Compare(changed[a], changed[b]) })
	return out, nil
}
