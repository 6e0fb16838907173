package publish

import (
	"fmt"

	"daybook/internal/lake"
)

// dimensions writes the dimensions: the values of the released days.
func (t *tenantRun) dimensions(build *lake.Build, results []*dayResult) error {
	accounts, services := map[string]struct{}{}, map[string]struct{}{}
	regions, pricing := map[string]struct{}{}, map[string]struct{}{}
	addAll := func(set map[string]struct{}, values []string) {
		for _, v := range values {
			set[v] = struct{}{}
		}
	}
	for _, r := range results {
		addAll(services, r.entry.Services)
		addAll(regions, r.entry.Regions)
		addAll(pricing, r.entry.Pricing)
		if err := t.accountsOf(r, accounts); err != nil {
			return err
		}
	}
	for _, d := range []struct {
		dataset lake.Dataset
		keys    map[string]struct{}
	}{
		{lake.DimAccount, accounts}, {lake.DimService, services}, {lake.DimRegion, regions}, {lake.DimPricing, pricing},
	} {
		keys := sortedKeys(d.keys)
		rows := make([]lake.DimRow, 0, len(keys))
		for _, k := range keys {
			rows = append(rows, lake.DimRow{Tenant: t.tenant, Key: k})
		}
		if _, err := build.WriteDimension(d.dataset, nil, rows); err != nil {
			return fmt.Errorf("write %s: %w", d.dataset, err)
		}
	}
	return nil
}

// accountsOf adds a day's accounts to a set.
func (t *tenantRun) accountsOf(r *dayResult, accounts map[string]struct{}) error {
	for _, a := range r.accounts {
		accounts[string(a)] = struct{}{}
	}
	if r.accounts != nil || r.entry.AccountDays == 0 {
		return nil
	}
	rows, err := t.series.ReadAccountDays(t.prev, r.day)
	if err != nil {
		return fmt.Errorf("read released account-days of %s: %w", r.day, err)
	}
	for i := range rows {
		accounts[string(rows[i].Account)] = struct{}{}
	}
	return nil
}
