package pipeline

import (
	"testing"
	"time"

	"daybook/internal/billing"
	"daybook/internal/disk"
	"daybook/internal/lake"
	"daybook/internal/test/oracle"
)

// cells is what a release says: total and events by cell.
type cells map[oracle.Cell]cell

type cell struct {
	usd      string
	events   int64
	complete bool // of an account-day; a service-day says nothing of it
}

// released reads every account-day and service-day of the default tenant's current release.
func released(t *testing.T, dir string) (m *lake.Manifest, accounts, services cells) {
	t.Helper()
	return releasedOf(t, dir, billing.DefaultTenant)
}

// releasedOf is released of any tenant.
func releasedOf(t *testing.T, dir string, tenant billing.TenantID) (m *lake.Manifest, accounts, services cells) {
	t.Helper()
	series := lake.Open(dir, disk.OS(), time.Now).Tenant(tenant)
	m, err := series.Current()
	if err != nil || m == nil {
		t.Fatalf("read the current release: %v", err)
	}
	if err := series.Verify(m, nil); err != nil {
		t.Fatalf("verify release %d: %v", m.Release, err)
	}
	accounts, services = cells{}, cells{}
	for _, e := range m.Days {
		rows, err := series.ReadAccountDays(m, e.Day)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			accounts[oracle.Cell{Tenant: r.Tenant, Account: string(r.Account), Day: e.Day.String()}] = cell{r.Total.String(), r.Events, r.Complete}
		}
		byService, err := series.ReadServiceDays(m, e.Day)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range byService {
			services[oracle.Cell{Tenant: r.Tenant, Account: string(r.Account), Day: e.Day.String(), Service: string(r.Service)}] = cell{r.Total.String(), r.Events, true}
		}
	}
	return m, accounts, services
}

// agree holds a release against the model, cell by cell.
func agree(t *testing.T, what string, got cells, want map[oracle.Cell]oracle.Total) {
	t.Helper()
	for at, w := range want {
		if g, ok := got[at]; !ok {
			t.Errorf("%s: %v is missing", what, at)
		} else if text := oracle.Text(w.USD); g.usd != text || g.events != w.Events || g.complete != (w.Withheld == 0) {
			t.Errorf("%s: %v is %s of %d events, complete %t; want %s of %d with %d withheld", what, at, g.usd, g.events, g.complete, text, w.Events, w.Withheld)
		}
	}
	for at := range got {
		if _, ok := want[at]; !ok {
			t.Errorf("%s: %v is in the release and not in the log", what, at)
		}
	}
}

// agreeOf is agree of one tenant.
func agreeOf(t *testing.T, what string, tenant billing.TenantID, got cells, all map[oracle.Cell]oracle.Total) {
	t.Helper()
	own := map[oracle.Cell]oracle.Total{}
	for at, total := range all {
		if at.Tenant == tenant {
			own[at] = total
		}
	}
	agree(t, what+" of "+string(tenant), got, own)
}
