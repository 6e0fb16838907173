package publish

import (
	"cmp"
	"slices"

	"daybook/internal/billing"
)

// maxKeptChanges is how many changed account-days, tenants added up, are kept in memory from the scan for the order
// of tenants until their runs. A tenant beyond it is scanned again by its run.
const maxKeptChanges = 1 << 20

// lightestFirst orders tenants by how many account-days changed since their releases, so that a tenant with a flood
// of events is published after all others and no other tenant waits for it. changes are what was found, which the
// tenants' runs need again. A release that cannot be read counts as no change: the tenant's own run reports it.
func (p *Publisher) lightestFirst(in *input, tenants []billing.TenantID) ([]billing.TenantID, map[billing.TenantID]*changes, error) {
	found := make(map[billing.TenantID]*changes, len(tenants))
	if len(tenants) < 2 {
		return tenants, found, nil
	}
	count := make(map[billing.TenantID]int, len(tenants))
	kept := 0
	for _, t := range tenants {
		m, err := p.deps.Lake.Tenant(t).Current()
		if err != nil {
			continue
		}
		known, err := knownTo(in, m)
		if err != nil {
			return nil, nil, err
		}
		c, err := readChanges(in, t, known, coveredDays(m, known))
		if err != nil {
			return nil, nil, err
		}
		count[t] = c.count
		if kept+c.count <= maxKeptChanges {
			kept += c.count
			found[t] = c
		}
	}
	out := slices.Clone(tenants)
	slices.SortStableFunc(out, func(a, b billing.TenantID) int { return cmp.Compare(count[a], count[b]) })
	return out, found, nil
}
