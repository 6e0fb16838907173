package publish

import (
	"fmt"
	"slices"

	"daybook/internal/billing"
	"daybook/internal/lake"
)

// dimensions writes the dimensions that changed and links the others.
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

// dimension writes one dimension, or links it if nothing changed.
func (t *tenantRun) dimension(build *lake.Build, ds lake.Dataset, keys []string) error {
	released, err := t.released(ds)
	if err != nil {
		return err
	}
	own := released
	if file := t.own[ds]; file != nil {
		own = &releasedDimension{dimensionFile: *file}
	}
	rows := own.rows(t.tenant, keys)
	if len(keys) > 0 && slices.Equal(keys, released.keys) && released.says(own.columns, rows) {
		at := slices.IndexFunc(t.prev.Files, func(f lake.File) bool { return f.Dataset == ds })
		if err := build.Link(t.prev.Files[at]); err != nil {
			return fmt.Errorf("link %s: %w", ds, err)
		}
		return nil
	}
	if _, err := build.WriteDimension(ds, own.columns, rows); err != nil {
		return fmt.Errorf("write %s: %w", ds, err)
	}
	return nil
}

// releasedDimension is a dimension of the newest release.
type releasedDimension struct {
	dimensionFile
	keys []string // ascending
}

// says reports whether the release has these columns, and these cells for each row.
func (d *releasedDimension) says(columns []string, rows []lake.DimRow) bool {
	return slices.Equal(d.columns, columns) && !slices.ContainsFunc(rows, func(r lake.DimRow) bool {
		was, ok := d.cells[r.Key]
		return !ok || !slices.EqualFunc(was, r.Extra, sameCell)
	})
}

// sameCell compares two cells; nil is null.
func sameCell(a, b *string) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// released reads a dimension of the newest release; without a release it is empty.
func (t *tenantRun) released(ds lake.Dataset) (*releasedDimension, error) {
	d := &releasedDimension{dimensionFile: dimensionFile{cells: map[string][]*string{}}}
	if t.prev == nil {
		return d, nil
	}
	columns, rows, err := t.series.ReadDimension(t.prev, ds)
	if err != nil {
		return nil, fmt.Errorf("read %s of release %d: %w", ds, t.prev.Release, err)
	}
	d.columns = columns
	for _, r := range rows {
		d.keys = append(d.keys, r.Key)
		d.cells[r.Key] = r.Extra
	}
	return d, nil
}

// restyled reports whether the tenant's dimension files differ from the released dimensions in a released value, or
// have a fault.
func (t *tenantRun) restyled() (bool, error) {
	for ds, file := range t.own {
		released, err := t.released(ds)
		if err != nil {
			return false, err
		}
		if len(file.faults) > 0 || !released.says(file.columns, file.rows(t.tenant, released.keys)) {
			return true, nil
		}
	}
	return false, nil
}

// accounts are the accounts with an account-day in the release: those of the released dimension and of the computed
// days, without those that lost their last account-day.
func (t *tenantRun) accounts(results []*dayResult) (map[string]struct{}, error) {
	accounts := map[string]struct{}{}
	gone := map[billing.AccountID]struct{}{}
	for _, r := range results {
		for i := range r.changes {
			if r.changes[i].Kind == lake.ChangeRetracted {
				gone[r.changes[i].Account] = struct{}{}
			}
		}
	}
	for _, r := range results {
		for _, a := range r.accounts {
			accounts[string(a)] = struct{}{}
			delete(gone, a)
		}
	}
	// A retracted account may be on days that were not computed. Most accounts are on the newest of them.
	for _, r := range slices.Backward(results) {
		if len(gone) == 0 {
			break
		}
		if r.accounts != nil || r.entry.AccountDays == 0 {
			continue
		}
		rows, err := t.series.ReadAccountDays(t.prev, r.day)
		if err != nil {
			return nil, fmt.Errorf("read released account-days of %s: %w", r.day, err)
		}
		for i := range rows {
			delete(gone, rows[i].Account)
		}
	}
	released, err := t.released(lake.DimAccount)
	if err != nil {
		return nil, err
	}
	for _, k := range released.keys {
		if _, ok := gone[billing.AccountID(k)]; !ok {
			accounts[k] = struct{}{}
		}
	}
	return accounts, nil
}

func addAll(set map[string]struct{}, values []string) {
	for _, v := range values {
		set[v] = struct{}{}
	}
}
