package publish

import (
	"fmt"
	"slices"

	"daybook/internal/lake"
)

// dimensions writes the dimensions whose values changed, and links the others.
func (t *tenantRun) dimensions(build *lake.Build, results []*dayResult) error {
	accounts, err := t.accounts(results)
	if err != nil {
		return err
	}
	services, regions, pricing := map[string]struct{}{}, map[string]struct{}{}, map[string]struct{}{}
	for _, r := range results {
		addAll(services, r.entry.Services)
		addAll(regions, r.entry.Regions)
		addAll(pricing, r.entry.Pricing)
	}
	for _, d := range []struct {
		dataset lake.Dataset
		keys    map[string]struct{}
	}{
		{lake.DimAccount, accounts}, {lake.DimService, services}, {lake.DimRegion, regions}, {lake.DimPricing, pricing},
	} {
		if err := t.dimension(build, d.dataset, sortedKeys(d.keys)); err != nil {
			return err
		}
	}
	return nil
}

// dimension writes one dimension, or links it where it has the released keys.
func (t *tenantRun) dimension(build *lake.Build, ds lake.Dataset, keys []string) error {
	released, err := t.releasedKeys(ds)
	if err != nil {
		return err
	}
	if len(keys) > 0 && slices.Equal(keys, released) {
		at := slices.IndexFunc(t.prev.Files, func(f lake.File) bool { return f.Dataset == ds })
		if err := build.Link(t.prev.Files[at]); err != nil {
			return fmt.Errorf("link %s: %w", ds, err)
		}
		return nil
	}
	rows := make([]lake.DimRow, 0, len(keys))
	for _, k := range keys {
		rows = append(rows, lake.DimRow{Tenant: t.tenant, Key: k})
	}
	if _, err := build.WriteDimension(ds, nil, rows); err != nil {
		return fmt.Errorf("write %s: %w", ds, err)
	}
	return nil
}

// releasedKeys are a dimension's keys in the previous release, ascending.
func (t *tenantRun) releasedKeys(ds lake.Dataset) ([]string, error) {
	if t.prev == nil {
		return nil, nil
	}
	_, rows, err := t.series.ReadDimension(t.prev, ds)
	if err != nil {
		return nil, fmt.Errorf("read %s of release %d: %w", ds, t.prev.Release, err)
	}
	keys := make([]string, len(rows))
	for i := range rows {
		keys[i] = rows[i].Key
	}
	return keys, nil
}

// accounts are those with an account-day in the release. The released
// dimension tells them, and the computed days add theirs. Only when an
// account-day was retracted, the days that were not computed are read as well:
// an account stays while any day has it.
func (t *tenantRun) accounts(results []*dayResult) (map[string]struct{}, error) {
	accounts := map[string]struct{}{}
	retracted := false
	for _, r := range results {
		for _, a := range r.accounts {
			accounts[string(a)] = struct{}{}
		}
		for i := range r.changes {
			retracted = retracted || r.changes[i].Kind == lake.ChangeRetracted
		}
	}
	if !retracted {
		released, err := t.releasedKeys(lake.DimAccount)
		addAll(accounts, released)
		return accounts, err
	}
	for _, r := range results {
		if r.accounts != nil || r.entry.AccountDays == 0 {
			continue
		}
		rows, err := t.series.ReadAccountDays(t.prev, r.day)
		if err != nil {
			return nil, fmt.Errorf("read released account-days of %s: %w", r.day, err)
		}
		for i := range rows {
			accounts[string(rows[i].Account)] = struct{}{}
		}
	}
	return accounts, nil
}

func addAll(set map[string]struct{}, values []string) {
	for _, v := range values {
		set[v] = struct{}{}
	}
}
