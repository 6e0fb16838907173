package publish

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/internal/billing"
	"daybook/internal/inspect"
	"daybook/internal/lake"
)

// expect writes the file of expected accounts.
func (w *world) expect(text string) {
	w.t.Helper()
	w.cfg.ExpectAccounts = filepath.Join(w.t.TempDir(), "expected.csv")
	w.check(os.WriteFile(w.cfg.ExpectAccounts, []byte(text), 0o600))
}

// of are the rows of one account.
func (w *world) of(account string) []string {
	var own []string
	for _, line := range w.rows() {
		if strings.Fields(line)[1] == account {
			own = append(own, line)
		}
	}
	return own
}

// entry is a day of the newest release's manifest.
func (w *world) entry(d string) lake.DayEntry {
	w.t.Helper()
	days := w.current().Days
	i := slices.IndexFunc(days, func(e lake.DayEntry) bool { return e.Day == day(d) })
	if i < 0 {
		w.t.Fatalf("%s is not released", d)
	}
	return days[i]
}

func TestSilentAccounts(t *testing.T) {
	w := newWorld(t)
	w.now = at("2025-01-08T12:00:00Z")
	w.week()
	w.expect("account_id\na1\na9\n")
	r := w.publish() // the first release has them
	if got := w.of("a9"); len(got) != 7 || got[0] != "2025-01-01 a9 0 incomplete" {
		t.Fatalf("rows of a9 %q", got)
	}
	if r.Changes.New != 14+7 || r.Changes.Delta.String() != w.total() {
		t.Fatalf("changes %+v, total %s", r.Changes, w.total())
	}
	row := w.row("2025-01-03", "a9")
	if row.Events != 0 || row.Complete || row.Revision != 1 {
		t.Fatalf("row %+v", row)
	}
	if e := w.entry("2025-01-03"); e.Completeness != inspect.Incomplete || !slices.Equal(e.Accounts["a9"], []string{inspect.ReasonSilent}) || e.AccountDays != 3 {
		t.Fatalf("entry %+v", e)
	}
	for _, c := range r.Rows {
		if c.Account == "a9" && (c.Kind != lake.ChangeNew || !slices.Equal(c.Reasons, []string{inspect.ReasonSilent})) {
			t.Fatalf("ledger %+v", c)
		}
	}
	if got := w.dimension(lake.DimAccount)[1:]; !slices.Equal(got, []string{"a1", "a2", "a9"}) {
		t.Fatalf("dim_account %q: a join would lose rows", got)
	}
	w.nothing()
	w.cfg.ExpectAccounts = "" // what was expected still is
	w.nothing()
	w.verifies()

	// Its events arrive: the silent row becomes an ordinary one.
	w.push(event("late", "a9", "compute", "2025-01-03", "2.5", 2))
	w.caughtUp()
	r = w.publish()
	row = w.row("2025-01-03", "a9")
	if row.Total.String() != "2.5" || !row.Complete || row.Revision != 2 || row.Previous.Sign() != 0 || !row.HasPrevious || row.Events != 1 {
		t.Fatalf("row %+v", row)
	}
	if len(r.Rows) != 1 || r.Rows[0].Kind != lake.ChangeRestated || strings.Join(r.Rows[0].Reasons, ",") != "late_event,account_silent_resolved" {
		t.Fatalf("ledger %+v", r.Rows)
	}
	if e := w.entry("2025-01-03"); e.Completeness != inspect.Complete || len(e.Accounts) != 0 {
		t.Fatalf("entry %+v", e)
	}

	// A quarantined record is not silence.
	w.push(event("bad", "a9", "compute", "2025-01-04", "-1", 2))
	w.caughtUp()
	r = w.publish()
	if e := w.entry("2025-01-04"); !slices.Equal(e.Accounts["a9"], []string{"quarantine:cost_negative"}) || r.Changes.Completeness != 1 {
		t.Fatalf("entry %+v, changes %+v", e, r.Changes)
	}

	// Deleted, it is silent again, not retracted.
	w.push(deletion("late", 3))
	w.caughtUp()
	r = w.publish()
	if row = w.row("2025-01-03", "a9"); row == nil || row.Total.Sign() != 0 || row.Complete || row.Revision != 3 || r.Changes.Retracted != 0 || r.Changes.Delta.String() != "-2.5" {
		t.Fatalf("row %+v, changes %+v", row, r.Changes)
	}
	if got := strings.Join(r.Rows[0].Reasons, ","); got != "deleted,account_silent" {
		t.Fatalf("reasons %s", got)
	}

	// A backfill and a rebuilt state find the same.
	numbers := w.rows()
	report, err := w.publisher().Backfill(t.Context(), Window{day("2025-01-01"), day("2025-01-31")}, false)
	w.check(err)
	if c := report.Tenants[0].Changes; c != (lake.ChangeSummary{}) || !slices.Equal(w.rows(), numbers) {
		t.Fatalf("backfill changed %+v", c)
	}
	w.newState(1)
	w.read(0, len(w.log[0]))
	w.caughtUp()
	rebuilt, err := w.run()
	w.check(err)
	if len(rebuilt.Rows) != 0 || !slices.Equal(w.rows(), numbers) {
		t.Fatalf("a rebuilt state changed %+v", rebuilt.Rows)
	}
	w.verifies()

	// A file of expected totals may list silent accounts or not.
	for _, file := range []string{
		"usage_date,account_id,total_cost_usd\n2025-01-05,a1,5\n2025-01-05,a2,1.5\n",
		"usage_date,account_id,total_cost_usd,event_count\n2025-01-05,a1,5,1\n2025-01-05,a2,1.5,1\n2025-01-05,a9,0,0\n",
	} {
		c, err := inspect.Compare(w.series(), 0, strings.NewReader(file), inspect.Columns{Counts: true}, &lake.Window{From: day("2025-01-05"), To: day("2025-01-05")})
		w.check(err)
		if err := c.Err(); err != nil {
			t.Errorf("%v: %+v", err, c.Differences)
		}
	}

	// Accounts that are no longer expected are retracted in the ledger.
	w.expect("account_id\n")
	r = w.publish()
	if got := w.of("a9"); !slices.Equal(got, []string{"2025-01-04 a9 0 incomplete"}) || r.Changes.Retracted != 6 || r.Changes.Delta.Sign() != 0 {
		t.Fatalf("rows %q, changes %+v", got, r.Changes)
	}
	w.nothing()
}

// Days after the last day with events have silent rows; empty days between days with events still fail the gate.
func TestSilenceAndEmptyDays(t *testing.T) {
	w := newWorld(t)
	w.week()
	w.expect("account_id,from,to\na1,,\na9,2025-01-06,2025-01-08\n")
	w.now = at("2025-01-11T12:00:00Z")
	w.caughtUp()
	w.publish()
	silent := slices.DeleteFunc(w.rows(), func(line string) bool { return !strings.HasSuffix(line, " 0 incomplete") })
	if !slices.Equal(silent, []string{
		"2025-01-06 a9 0 incomplete", "2025-01-07 a9 0 incomplete", "2025-01-08 a1 0 incomplete", "2025-01-08 a9 0 incomplete",
		"2025-01-09 a1 0 incomplete", "2025-01-10 a1 0 incomplete",
	}) {
		t.Fatalf("rows %q", silent)
	}
	if n := w.current().NotComplete; len(n) != 0 {
		t.Fatalf("days without a row %+v", n)
	}
	status, err := inspect.Completeness(w.series(), day("2025-01-09"), "a1")
	w.check(err)
	if status.Complete || !slices.Equal(status.Reasons, []string{inspect.ReasonSilent}) {
		t.Fatalf("status %+v", status)
	}

	// The next due day is a release of its own.
	w.now = w.now.Add(24 * time.Hour)
	w.caughtUp()
	if r := w.publish(); r.Changes.New != 1 || w.row("2025-01-11", "a1") == nil {
		t.Fatalf("changes %+v", r.Changes)
	}

	// An event after the silence: the days between have none.
	w.push(event("after", "a1", "compute", "2025-01-11", "1", 2))
	w.caughtUp()
	_, err = w.run()
	if !errors.Is(err, ErrGate) || !strings.Contains(err.Error(), "2025-01-08 has no event") {
		t.Fatalf("error %v, want the gate on empty days", err)
	}
	w.cfg.AllowEmptyDays = true
	w.publish()
	w.nothing()

	// An earlier first day: the account is expected from then on.
	w.push(event("before", "a2", "compute", "2024-12-30", "1", 2))
	w.caughtUp()
	w.publish()
	if w.row("2024-12-30", "a1") == nil || w.row("2024-12-31", "a1") == nil || w.row("2024-12-31", "a9") != nil {
		t.Fatalf("rows %q", w.rows())
	}
	// It is deleted: the silent rows from that day on are retracted.
	w.push(deletion("before", 3))
	w.caughtUp()
	w.publish()
	if w.row("2024-12-30", "a1") != nil || w.row("2024-12-31", "a1") != nil || w.row("2025-01-01", "a1") == nil {
		t.Fatalf("rows %q", w.rows())
	}
	w.nothing()

	// A rollback restores the expectations of its target.
	first, err := w.series().Manifest(1)
	w.check(err)
	_, err = w.publisher().Rollback(t.Context(), billing.DefaultTenant, 1, "test")
	w.check(err)
	if got := w.current().Expected; len(got) != 2 || !slices.Equal(got, first.Expected) || got[1].To != day("2025-01-08") {
		t.Fatalf("expected %+v, release 1 %+v", got, first.Expected)
	}
}

func TestExpectedAccountsRefused(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if _, err := parseExpectations(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	f("", "it is empty")
	f("account\n", `column "account": the columns are account_id, tenant_id, from, to`)
	f("account_id,account_id\n", "each once")
	f("tenant_id\n", "no column account_id")
	f("account_id\na1\n\"\"\n", "line 3: account_id has 0 bytes")
	f("account_id,tenant_id\na1,\na1,default\n", `account "a1" of tenant default is on lines 2 and 3`)
	f("account_id,tenant_id\na1,.x\n", `tenant_id ".x"`)
	f("account_id,from\na1,2025-1-1\n", `from "2025-1-1" is not a date`)
	f("account_id,from,to\na1,2025-01-02,2025-01-01\n", "to 2025-01-01 is before from 2025-01-02")

	w := newWorld(t)
	w.week()
	w.cfg.ExpectAccounts = filepath.Join(t.TempDir(), "missing.csv")
	if _, err := w.run(); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "missing.csv") {
		t.Errorf("error %v, want ErrUsage", err)
	}
}

// total is the total of the newest release.
func (w *world) total() string {
	sum, ok := total(w.current())
	if !ok {
		w.t.Fatal("the total overflows")
	}
	return sum.String()
}

// verifies verifies the newest release.
func (w *world) verifies() {
	w.t.Helper()
	all, err := w.publisher().Verify(w.t.Context())
	w.check(err)
	if len(all) != 1 || len(all[0].Differ) > 0 || all[0].Skipped > 0 {
		w.t.Fatalf("verified %+v", all)
	}
}
