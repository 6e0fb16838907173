package publish

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"daybook/internal/billing"
	"daybook/internal/inspect"
	"daybook/internal/state"
)

// of is a record of a tenant.
func of(tenant, value string) string {
	return strings.Replace(value, "{", fmt.Sprintf(`{"tenant_id":%q,`, tenant), 1)
}

// TestLightestTenantFirst: a tenant with a hundred times as many changed account-days is published last, whatever
// its name. The report is in the order of names.
func TestLightestTenantFirst(t *testing.T) {
	w := newWorld(t)
	var values []string
	for i := range 100 {
		values = append(values, of("a-loud", event(fmt.Sprint("e", i), fmt.Sprint("a", i), "compute", "2025-01-02", "1", 1)))
	}
	values = append(values, of("quiet", event("e", "a", "compute", "2025-01-02", "1", 1)))
	w.push(values...)
	w.caughtUp()
	var order []billing.TenantID
	p := New(w.cfg, Deps{
		Source: Store{Store: w.store, Dir: filepath.Join(w.stateDir, "checkpoints"), Options: w.options()}, Lake: w.lake, Now: w.clock, Clock: w.reading,
		Progress: func(t billing.TenantID, _, _ int64) { order = append(order, t) },
	})
	report, err := p.Run(t.Context())
	w.check(err)
	if !slices.Equal(slices.Compact(order), []billing.TenantID{"quiet", "a-loud"}) || report.Tenants[0].Tenant != "a-loud" {
		t.Errorf("order %v, report %+v", order, report.Tenants)
	}
}

// TestBoundTopicHoldsItsTenantAlone: an unread topic that is bound to a tenant blocks the release of that tenant
// only.
func TestBoundTopicHoldsItsTenantAlone(t *testing.T) {
	w := newWorld(t)
	w.rules.Bindings = map[string]billing.TenantID{"flood": "loud"}
	w.newState(1)
	w.check(w.store.AddTopics([]state.Topic{{Name: "flood", ID: "bb"}}))
	w.week()
	w.push(of("loud", event("e", "a", "compute", "2025-01-02", "1", 1)))
	w.caughtUp()

	report, err := w.publisher().Run(t.Context())
	if !errors.Is(err, ErrIncomplete) || len(report.Tenants) != 2 || report.Tenants[0].Outcome != Published || report.Tenants[0].Err != nil {
		t.Fatalf("%+v, %v", report, err)
	}
	if loud := report.Tenants[1]; loud.Outcome != Failed || !errors.Is(loud.Err, ErrIncomplete) || !strings.Contains(loud.Err.Error(), "flood/0 (never read)") {
		t.Errorf("%+v", loud)
	}
	for _, row := range w.rows() {
		if strings.HasSuffix(row, "incomplete") {
			t.Errorf("row %q", row)
		}
	}
	w.audited(0)

	w.cfg.Tenants = []billing.TenantID{billing.DefaultTenant}
	if report, err := w.publisher().Run(t.Context()); err != nil || len(report.Behind) != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	w.cfg.Tenants, w.cfg.AllowIncomplete = nil, true
	report, err = w.publisher().Run(t.Context())
	if err != nil || report.Tenants[1].Outcome != Published {
		t.Fatalf("%+v, %v", report, err)
	}
	m, err := w.lake.Tenant("loud").Current()
	w.check(err)
	if m.Days[0].Completeness != inspect.Incomplete || !slices.Equal(m.Days[0].Reasons, []string{inspect.ReasonInputBehind}) {
		t.Errorf("%+v", m.Days[0])
	}
	if m.Topics[1].Elsewhere || !w.current().Topics[1].Elsewhere || w.current().Rules.Bindings != nil {
		t.Errorf("topics %+v and %+v", m.Topics, w.current().Topics)
	}
}
