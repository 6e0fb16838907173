package publish

import (
	"slices"
	"testing"

	"daybook/internal/billing"
	"daybook/internal/lake"
	"daybook/internal/state"
)

// TestUnexpectedChange: an account-day of which nothing changed in the state comes out differently. A backfill and
// a run that recompute it are stopped; a backfill with repair publishes it, with its own reason in the ledger.
func TestUnexpectedChange(t *testing.T) {
	const line = `account "a2" on 2025-01-03: released 2.5 of 1 events, recomputed 1.5 of 1 events`
	window := Window{From: day("2025-01-03"), To: day("2025-01-03")}
	w := newWorld(t)
	w.week()
	w.publish()
	w.overstate("2025-01-03", "a2", "1")
	w.nothing() // no marker says that there is anything to do
	backfill := func(repair bool) func() (TenantReport, error) {
		return func() (TenantReport, error) {
			report, err := w.publisher().Backfill(t.Context(), window, repair)
			if !slices.Equal(report.Tenants[0].Differ, []string{line}) {
				t.Errorf("differences %q", report.Tenants[0].Differ)
			}
			return report.Tenants[0], err
		}
	}
	if got := w.stopped(backfill(false)); !slices.Equal(got, []string{gateUnexpected + ": " + line}) {
		t.Errorf("lines %q", got)
	}

	// A day whose completeness changes is recomputed whole by a run.
	_, err := w.store.Decide(state.Decision{Kind: state.GapAccepted, Who: "op", Why: "lost", From: w.next[0], Next: w.next[0] + 1, FromDay: "2025-01-03", ToDay: "2025-01-03"})
	w.check(err)
	w.caughtUp()
	if got := w.stopped(w.run); !slices.Equal(got, []string{gateUnexpected + ": " + line}) {
		t.Errorf("lines of a run %q", got)
	}

	r, err := backfill(true)()
	w.check(err)
	at := slices.IndexFunc(r.Rows, func(c lake.ChangeRow) bool { return c.Account == "a2" })
	if r.Outcome != Published || at < 0 {
		t.Fatalf("%+v", r)
	}
	c := r.Rows[at]
	if c.Kind != lake.ChangeRestated || c.Reasons[0] != "damage_repaired" || c.Delta != usd("-1") || c.Old != usd("2.5") || c.New != usd("1.5") {
		t.Errorf("ledger %+v", c)
	}
	if other := r.Rows[1-at]; slices.Contains(other.Reasons, "damage_repaired") {
		t.Errorf("ledger of an account-day without damage %+v", other)
	}
	row := w.row("2025-01-03", "a2")
	if row.Total != usd("1.5") || row.Revision != 2 || row.Previous != usd("2.5") {
		t.Errorf("row %+v", row)
	}
	if got := w.differing(); got != nil {
		t.Errorf("differences after the repair %q", got)
	}
	w.nothing()
}

// TestUnexpectedChangeOfServices: the total is right, its services are not.
func TestUnexpectedChangeOfServices(t *testing.T) {
	w := newWorld(t)
	w.week()
	w.publish()
	w.republish(edits{day: "2025-01-03", serviceDays: func(rows []lake.ServiceDayRow) []lake.ServiceDayRow {
		rows[1].Service = "archive"
		return rows
	}})
	got := w.stopped(func() (TenantReport, error) {
		report, err := w.publisher().Backfill(t.Context(), AllDays, false)
		return report.Tenants[0], err
	})
	if want := []string{gateUnexpected + `: account "a2" on 2025-01-03: released 1.5 of 1 events, recomputed 1.5 of 1 events`}; !slices.Equal(got, want) {
		t.Errorf("lines %q", got)
	}
}

// TestUnexpectedAccountDays: an account-day is in the release and not in the state, and the other way round.
func TestUnexpectedAccountDays(t *testing.T) {
	w := newWorld(t)
	w.week()
	w.publish()
	w.republish(edits{
		day: "2025-01-03",
		accountDays: func(rows []lake.AccountDayRow) []lake.AccountDayRow {
			return []lake.AccountDayRow{rows[0], {Tenant: billing.DefaultTenant, Account: "a9", Total: usd("1.5"), Events: 1, Complete: true, Revision: 1}}
		},
		serviceDays: func(rows []lake.ServiceDayRow) []lake.ServiceDayRow { rows[1].Account = "a9"; return rows },
	})
	got := w.stopped(func() (TenantReport, error) {
		report, err := w.publisher().Backfill(t.Context(), AllDays, false)
		return report.Tenants[0], err
	})
	want := []string{
		gateUnexpected + `: account "a2" on 2025-01-03: not released, recomputed 1.5 of 1 events`,
		gateUnexpected + `: account "a9" on 2025-01-03: released 1.5 of 1 events, recomputed 0 of 0 events`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("lines %q, want %q", got, want)
	}
}
