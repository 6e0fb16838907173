package lake

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/internal/billing"
	"daybook/internal/test/disktest"
	"daybook/internal/test/rot"
)

// TestNamesCannotEscape: every path that a publication touches is in the tenant's directory and consists of constants,
// numbers and dates, so writes need no os.Root. Ids of accounts, events, services and regions are never in a path.
func TestNamesCannotEscape(t *testing.T) {
	hostile := []string{"../../../etc/passwd", "..", "/etc/passwd", "a\\..\\b", "usage_date=2025-01-01/../../x", "CON", "a\nb", "ａ", "%2e%2e%2f"}
	slices.Sort(hostile)
	fsys := disktest.NewFaults(disktest.Mem(rot.NewCrashable()))
	touched := map[string]bool{}
	fsys.Before = func(_ disktest.Op, path string) error {
		touched[path] = true
		return nil
	}
	s := Open("/lake", fsys, func() time.Time { return testNow }).Tenant("acme")
	lock(t, s)
	b, err := s.Begin(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := day(t, "2025-01-02")
	var rows []EventRow
	var services []ServiceDayRow
	var accounts []AccountDayRow
	var dims []DimRow
	for _, id := range hostile {
		row := event(t, d, id, id, "1")
		row.Event.Service, row.Event.Region, row.Topic = billing.ServiceName(id), billing.Region(id), id
		rows = append(rows, row)
		services = append(services, ServiceDayRow{Tenant: "acme", Account: billing.AccountID(id), Service: billing.ServiceName(id), Total: usd(t, "1"), Events: 1})
		accounts = append(accounts, AccountDayRow{Tenant: "acme", Account: billing.AccountID(id), Total: usd(t, "1"), PublishedAt: testNow, Revision: 1, Events: 1})
		dims = append(dims, DimRow{Tenant: "acme", Key: id, Extra: []*string{&id}})
	}
	_, err = b.WriteEvents(d, 0, events(rows...))
	_, err2 := b.WriteServiceDays(d, services)
	_, err3 := b.WriteAccountDays(d, accounts)
	_, err4 := b.WriteDimension(DimRegion, []string{"../owner"}, dims)
	if err := errors.Join(err, err2, err3, err4, b.Publish(&Manifest{AsOf: testNow})); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Prune(Retention{Keep: 1}, false); err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`^/(lake(/acme(/[a-z]+(\.json|\.[0-9]{6})?|/[0-9]{6}(\.json)?|/[a-z_]+|/(usage_date|release)=[0-9-]+|/part-[0-9]{6}-[0-9]+\.parquet|/manifest\.json\.tmp)*)?)?$`)
	for path := range touched {
		if path != "" && !name.MatchString(path) {
			t.Errorf("a publication touches %q", path)
		}
	}
	if len(touched) < 30 {
		t.Errorf("only %d paths were seen", len(touched))
	}
}

// TestHostileTenantIsRefused: the tenant's id is the only part of a path that a user chooses.
func TestHostileTenantIsRefused(t *testing.T) {
	for _, id := range []string{"", ".", "..", ".hidden", "../acme", "/etc", "a/b", "a\\b", "a\x00b", "a\nb", "ａ", strings.Repeat("a", 65)} {
		fsys := disktest.NewFaults(disktest.Mem(rot.NewCrashable()))
		fsys.Before = func(op disktest.Op, path string) error {
			t.Errorf("tenant %q: %s touches %q", id, op, path)
			return nil
		}
		if _, err := Open("/lake", fsys, nil).Tenant(billing.TenantID(id)).Lock(); err == nil {
			t.Errorf("tenant %q got a directory", id)
		}
	}
}

// TestHostileManifestIsRefused: a path in a manifest must not lead out of its release.
func TestHostileManifestIsRefused(t *testing.T) {
	s := Open("/lake", disktest.Mem(rot.NewCrashable()), nil).Tenant("acme")
	for _, path := range []string{"", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "./a", "a/."} {
		m := &Manifest{Release: 1, Files: []File{{Path: path, Dataset: AccountDays}}}
		if err := s.Verify(m, nil); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "names the path") {
			t.Errorf("path %q: %v", path, err)
		}
	}
}
