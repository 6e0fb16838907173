package lake_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/internal/billing"
	"daybook/internal/lake"
	"daybook/internal/test/disktest"
	"daybook/internal/test/rot"
)

// TestSeriesThroughItsAPI publishes three releases of a tenant and uses everything that publisher and readers use.
func TestSeriesThroughItsAPI(t *testing.T) {
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	l := lake.Open("/lake", disktest.Mem(rot.NewCrashable()), func() time.Time { return copyNow })
	s := l.Tenant("acme")
	if m, err := s.Current(); m != nil || err != nil {
		t.Errorf("a tenant without releases has %v, %v", m, err)
	}
	if _, _, err := s.Resolve(); !errors.Is(err, lake.ErrNoRelease) {
		t.Errorf("it resolves to %v", err)
	}
	unlock, err := s.Lock()
	check(err)
	defer func() { check(unlock()) }()
	if _, err := l.Tenant("acme").Lock(); !errors.Is(err, lake.ErrLocked) {
		t.Errorf("a second publisher gets %v", err)
	}
	d := billing.DayOf(copyNow) - 1

	b, err := s.Begin(1, nil)
	check(err)
	writeOneAccount(t, b, d, 2)
	_, err = b.WriteDimension(lake.DimAccount, []string{"owner"}, []lake.DimRow{{Tenant: "acme", Key: "0001", Extra: []*string{nil}}})
	check(err)
	if _, err := b.WriteDimension(lake.DimService, []string{"a", "a"}, nil); err == nil || !strings.Contains(err.Error(), `"a"`) {
		t.Errorf("two columns of one name: %v", err)
	}
	faults, err := b.ReadBack()
	check(err)
	if len(faults) > 0 {
		t.Errorf("faults %q", faults)
	}
	first := &lake.Manifest{AsOf: copyNow, Days: []lake.DayEntry{{Day: d, AccountDays: 1, Events: 1}}}
	check(b.Publish(first))
	if _, err := s.Begin(1, nil); !errors.Is(err, lake.ErrTaken) {
		t.Errorf("release 1 again: %v", err)
	}

	// Release 2 reuses the row groups of release 1.
	files := first.EventFiles(d)
	released, err := s.OpenEvents(first, files[0])
	check(err)
	reused, ok := released.RowGroups(lake.Cut{First: "0001", Last: "0001", Rows: 1})
	if !ok {
		t.Fatal("the row group is not found")
	}
	if sum, ok := reused.Sum(); !ok || sum.String() != "2" {
		t.Errorf("its sum is %s", sum)
	}
	b, err = s.Begin(2, first)
	check(err)
	f, err := b.WriteEvents(d, 0, lake.Segment{Reused: reused})
	check(err)
	if f.SHA256 != files[0].SHA256 || f.Digest != files[0].Digest {
		t.Errorf("the copy is %+v, not %+v", f, files[0])
	}
	for _, f := range first.Files {
		if f.Dataset != lake.Events && f.Rows > 0 {
			check(b.Link(f))
		}
	}
	second := &lake.Manifest{AsOf: copyNow, Previous: 1, Days: first.Days}
	check(b.Publish(second))

	m, err := s.Current()
	check(err)
	check(s.Verify(m, nil))
	if m.Release != 2 || !m.EventFiles(d)[0].IsOf(lake.Events, d) || *m.EventFiles(d)[0].Day != d || m.Days[0].Day != d {
		t.Errorf("current %+v", m)
	}
	days, err := s.ReadAccountDays(m, d)
	check(err)
	services, err := s.ReadServiceDays(m, d)
	check(err)
	columns, dims, err := s.ReadDimension(m, lake.DimAccount)
	check(err)
	if len(days) != 1 || len(services) != 1 || !slices.Equal(columns, []string{"owner"}) || len(dims) != 1 || dims[0].Extra[0] != nil {
		t.Errorf("rows %v, %v, %v of columns %q", days, services, dims, columns)
	}
	for e, err := range s.ReadEvents(m, m.EventFiles(d)[0]) {
		check(err)
		if e.Event.ID != "e1" || e.Event.Day != d || e.Event.Cost.String() != "2" {
			t.Errorf("event %+v", e)
		}
	}
	if changes, err := s.ReadChanges(m, 2); err != nil || len(changes) > 0 {
		t.Errorf("changes %v, %v", changes, err)
	}
	if repeated, err := s.RepeatedEvents(m); err != nil || len(repeated) > 0 {
		t.Errorf("repeated %v, %v", repeated, err)
	}

	// Labels, holds, an aborted build, pruning.
	check(s.Keep(1, "close"))
	if err := s.Keep(7, "x"); !errors.Is(err, lake.ErrNoRelease) {
		t.Errorf("a label for release 7: %v", err)
	}
	check(s.SetHold(&lake.Hold{Why: "test", Who: "op"}))
	if h, err := s.Hold(); err != nil || h == nil || h.Why != "test" {
		t.Errorf("hold %v, %v", h, err)
	}
	check(s.SetHold(nil))
	if h, err := s.Hold(); err != nil || h != nil {
		t.Errorf("hold %v, %v", h, err)
	}
	b, err = s.Begin(3, m)
	check(err)
	check(b.Abort())
	if found, err := s.Recover(); err != nil || found != (lake.Recovery{}) {
		t.Errorf("recovery %+v, %v", found, err)
	}
	if done, err := s.Prune(lake.Retention{Keep: 1}, false); err != nil || len(done.Releases) > 0 {
		t.Errorf("pruned %+v, %v", done, err)
	}
	check(s.Keep(1, ""))
	if done, err := s.Prune(lake.Retention{Keep: 1}, false); err != nil || !slices.Equal(done.Removed, []int{1}) {
		t.Errorf("pruned %+v, %v", done, err)
	}
	list, err := s.List()
	check(err)
	if len(list) != 2 || !list[0].Pruned || !list[1].Current {
		t.Errorf("list %+v", list)
	}
	if m, err := s.Manifest(1); err != nil || m.Release != 1 {
		t.Errorf("manifest of the pruned release: %v, %v", m, err)
	}
	if u, err := s.Usage(); err != nil || u.Releases != 1 || u.Bytes != list[1].Bytes {
		t.Errorf("usage %+v, %v", u, err)
	}
	if tenants, err := l.Tenants(); err != nil || !slices.Equal(tenants, []billing.TenantID{"acme"}) {
		t.Errorf("tenants %v, %v", tenants, err)
	}
}
