package publish

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/billing"
	"daybook/internal/disk"
	"daybook/internal/inspect"
	"daybook/internal/lake"
	"daybook/internal/state"
	"daybook/internal/test/disktest"
)

// lines are the lines of failed gates, each after its gate's name.
func (f faults) lines() []string {
	var out []string
	for _, g := range gateNames {
		for _, line := range f[g] {
			out = append(out, g+": "+line)
		}
	}
	return out
}

// is reports an error where the failed gates are not exactly those wanted, with these lines.
func (f faults) is(t *testing.T, name string, want ...string) {
	t.Helper()
	if got := f.lines(); !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestGateOnRows hands the builder of a day wrong rows: keys, signs, and service-days that are not those of their
// account-day.
func TestGateOnRows(t *testing.T) {
	const d = "2025-01-02"
	account := func(a, total string, events int64) lake.AccountDayRow {
		return lake.AccountDayRow{Account: billing.AccountID(a), Total: usd(total), Events: events}
	}
	service := func(a, s, total string, events int64) lake.ServiceDayRow {
		return lake.ServiceDayRow{Account: billing.AccountID(a), Service: billing.ServiceName(s), Total: usd(total), Events: events}
	}
	const most = "99999999999999999999"
	for _, c := range []struct {
		name     string
		rows     []lake.AccountDayRow
		services []lake.ServiceDayRow
		negative bool
		want     []string
	}{
		{
			name: "right rows", rows: []lake.AccountDayRow{account("a1", "3", 2), account("a2", "0", 0), account("a3", "5", 1)},
			services: []lake.ServiceDayRow{service("a1", "s1", "1", 1), service("a1", "s2", "2", 1), service("a3", "s1", "5", 1)},
		},
		{
			name: "no account", rows: []lake.AccountDayRow{account("", "1", 1)}, services: []lake.ServiceDayRow{service("", "s", "1", 1)},
			want: []string{gateNullKey + ": account-day on 2025-01-02 without account_id"},
		},
		{
			name: "no service", rows: []lake.AccountDayRow{account("a", "1", 1)}, services: []lake.ServiceDayRow{service("a", "", "1", 1)},
			want: []string{gateNullKey + `: service-day of account "a" on 2025-01-02 without service_name`},
		},
		{
			name: "an account twice", rows: []lake.AccountDayRow{account("a", "0", 0), account("a", "0", 0)},
			want: []string{gateUniqueKey + `: account-day of "a" on 2025-01-02 is there twice or out of order`},
		},
		{
			name: "accounts out of order", rows: []lake.AccountDayRow{account("b", "0", 0), account("a", "0", 0)},
			want: []string{gateUniqueKey + `: account-day of "a" on 2025-01-02 is there twice or out of order`},
		},
		{
			name: "a service twice", rows: []lake.AccountDayRow{account("a", "3", 2)},
			services: []lake.ServiceDayRow{service("a", "s", "1", 1), service("a", "s", "2", 1)},
			want:     []string{gateUniqueKey + `: service-day of account "a", service "s" on 2025-01-02 is there twice or out of order`},
		},
		{
			name: "a negative total", rows: []lake.AccountDayRow{account("a", "-1", 1)}, services: []lake.ServiceDayRow{service("a", "s", "-1", 1)},
			want: []string{gateNegative + `: account "a" on 2025-01-02: total -1, and the policy of the tenant is to reject negative costs`},
		},
		{
			name: "a negative total that the rules allow", rows: []lake.AccountDayRow{account("a", "-1", 1)},
			services: []lake.ServiceDayRow{service("a", "s", "-1", 1)}, negative: true,
		},
		{
			name: "another sum of services", rows: []lake.AccountDayRow{account("a", "3", 2)},
			services: []lake.ServiceDayRow{service("a", "s1", "1", 1), service("a", "s2", "1", 1)},
			want:     []string{gateTotals + `: account "a" on 2025-01-02: total 3, its service-days sum to 2`},
		},
		{
			name: "another count of services", rows: []lake.AccountDayRow{account("a", "3", 2)},
			services: []lake.ServiceDayRow{service("a", "s1", "3", 1)},
			want:     []string{gateCounts + `: account "a" on 2025-01-02: 2 events, its service-days have 1`},
		},
		{
			name: "services that overflow", rows: []lake.AccountDayRow{account("a", "0", 2)},
			services: []lake.ServiceDayRow{service("a", "s1", most, 1), service("a", "s2", most, 1)},
			want:     []string{gateTotals + `: account "a" on 2025-01-02: the sum of its service-days overflows DECIMAL(38,18)`},
		},
	} {
		var f faults
		b := &dayBuilder{negative: c.negative}
		b.checkRows(day(d), dayRows{c.rows, c.services}, &f)
		f.is(t, c.name, c.want...)
	}
}

// fileOf is a manifest's entry of a file.
func fileOf(ds lake.Dataset, d, sum string, rows int64) lake.File {
	m := usd(sum)
	on := day(d)
	return lake.File{Dataset: ds, Day: &on, Rows: rows, Sum: &m}
}

// TestGateOnFiles hands the publisher manifests whose datasets do not agree with each other and with their days.
func TestGateOnFiles(t *testing.T) {
	const d = "2025-01-02"
	const most = "99999999999999999999"
	right := func() *lake.Manifest {
		return &lake.Manifest{
			Days: []lake.DayEntry{{Day: day(d), AccountDays: 1, Events: 3, Total: usd("6")}},
			Files: []lake.File{
				fileOf(lake.Events, d, "4", 2), fileOf(lake.Events, d, "2", 1),
				fileOf(lake.ServiceDays, d, "6", 2), fileOf(lake.AccountDays, d, "6", 1), {Dataset: lake.DimAccount, Rows: 7},
			},
		}
	}
	for _, c := range []struct {
		name string
		edit func(*lake.Manifest)
		want []string
	}{
		{"a right manifest", func(*lake.Manifest) {}, nil},
		{"another total", func(m *lake.Manifest) { m.Days[0].Total = usd("7") }, []string{
			gateTotals + ": 2025-01-02: normalized_billing_events sums to 6, the day's total is 7",
			gateTotals + ": 2025-01-02: account_service_day_cost sums to 6, the day's total is 7",
			gateTotals + ": 2025-01-02: daily_account_cost sums to 6, the day's total is 7",
		}},
		{"other events", func(m *lake.Manifest) { m.Files[1] = fileOf(lake.Events, d, "3", 1) }, []string{
			gateTotals + ": 2025-01-02: normalized_billing_events sums to 7, the day's total is 6",
		}},
		{"other service-days", func(m *lake.Manifest) { m.Files[2] = fileOf(lake.ServiceDays, d, "5", 2) }, []string{
			gateTotals + ": 2025-01-02: account_service_day_cost sums to 5, the day's total is 6",
		}},
		{"other account-days", func(m *lake.Manifest) { m.Files[3] = fileOf(lake.AccountDays, d, "5", 1) }, []string{
			gateTotals + ": 2025-01-02: daily_account_cost sums to 5, the day's total is 6",
		}},
		{"a file of events too few", func(m *lake.Manifest) { m.Files = m.Files[1:] }, []string{
			gateTotals + ": 2025-01-02: normalized_billing_events sums to 2, the day's total is 6",
			gateCounts + ": 2025-01-02: 1 events in files, 3 in account-days",
		}},
		{"another count of events", func(m *lake.Manifest) { m.Days[0].Events = 4 }, []string{
			gateCounts + ": 2025-01-02: 3 events in files, 4 in account-days",
		}},
		{"another count of account-days", func(m *lake.Manifest) { m.Days[0].AccountDays = 2 }, []string{
			gateCounts + ": 2025-01-02: 1 rows in daily_account_cost, 2 account-days",
		}},
		{"a day without a file", func(m *lake.Manifest) { m.Files = m.Files[4:] }, []string{
			gateCounts + ": 2025-01-02: 1 account-days and no file",
		}},
		{"a sum that overflows", func(m *lake.Manifest) {
			m.Files[0], m.Files[1] = fileOf(lake.Events, d, most, 2), fileOf(lake.Events, d, most, 1)
		}, []string{
			gateTotals + ": 2025-01-02: the sum of normalized_billing_events overflows DECIMAL(38,18)",
		}},
	} {
		m := right()
		c.edit(m)
		var f faults
		checkFiles(m, &f)
		f.is(t, c.name, c.want...)
	}
}

// TestGateOnTheLedger hands the publisher a ledger that does not explain how the totals moved.
func TestGateOnTheLedger(t *testing.T) {
	release := func(delta string, totals ...string) *lake.Manifest {
		m := &lake.Manifest{Changes: lake.ChangeSummary{Delta: usd(delta)}}
		for _, total := range totals {
			m.Days = append(m.Days, lake.DayEntry{Total: usd(total)})
		}
		return m
	}
	const most = "99999999999999999999"
	for _, c := range []struct {
		name      string
		prev, now *lake.Manifest
		want      []string
	}{
		{"the first release", nil, release("3", "1", "2"), nil},
		{"a right ledger", release("3", "1", "2"), release("-1.5", "1", "0.5"), nil},
		{"a wrong ledger", release("3", "1", "2"), release("-1", "1", "0.5"), []string{
			gateLedger + ": the ledger's delta_usd sum to -1, the totals changed by -1.5 (from 3 to 1.5)",
		}},
		{"a wrong first ledger", nil, release("2", "1", "2"), []string{
			gateLedger + ": the ledger's delta_usd sum to 2, the totals changed by 3 (from 0 to 3)",
		}},
		{"totals that overflow", nil, release("0", most, most), []string{
			gateLedger + ": the release's total overflows DECIMAL(38,18)",
		}},
		{"totals that did", release("0", most, most), release("0", "1"), []string{
			gateLedger + ": the release's total overflows DECIMAL(38,18)",
		}},
		{"a difference that overflows", release("0", "-"+most), release("0", most), []string{
			gateLedger + ": the release's total overflows DECIMAL(38,18)",
		}},
	} {
		var f faults
		checkLedger(c.prev, c.now, &f)
		f.is(t, c.name, c.want...)
	}
}

// TestGateOnEmptyDays: a day without events between days that have some fails, unless it is allowed.
func TestGateOnEmptyDays(t *testing.T) {
	m := &lake.Manifest{Days: []lake.DayEntry{
		{Day: day("2025-01-02"), Events: 1, AccountDays: 1}, {Day: day("2025-01-05"), Events: 1, AccountDays: 1},
		{Day: day("2025-01-04"), AccountDays: 1, Accounts: map[string][]string{"silent": {inspect.ReasonSilent}}}, // a row, but no event
	}}
	empty := func(d string) string {
		return gateEmptyDay + ": " + d + " has no event, days before and after it have: allow it with a decision or --allow-empty-days if that is right"
	}
	allowed := state.Decision{Kind: state.EmptyDayAllowed, FromDay: "2025-01-03", ToDay: "2025-01-03"}
	for _, c := range []struct {
		name      string
		cfg       Config
		decisions []state.Decision
		want      []string
	}{
		{name: "two empty days", want: []string{empty("2025-01-03"), empty("2025-01-04")}},
		{name: "one is allowed", decisions: []state.Decision{allowed}, want: []string{empty("2025-01-04")}},
		{name: "all are allowed", cfg: Config{AllowEmptyDays: true}},
	} {
		var f faults
		run := &tenantRun{Publisher: &Publisher{cfg: c.cfg}, in: &input{decisions: c.decisions}, tenant: billing.DefaultTenant}
		run.checkEmptyDays(m, &f)
		f.is(t, c.name, c.want...)
	}
}

// TestGateOnLimits: restatements and retractions above a limit fail, and those at it pass. Each names its rows.
func TestGateOnLimits(t *testing.T) {
	changes := []lake.ChangeRow{
		{Account: "a1", Day: day("2025-01-02"), Kind: lake.ChangeRestated, Delta: usd("-2")},
		{Account: "a2", Day: day("2025-01-02"), Kind: lake.ChangeRetracted, Delta: usd("-3")},
		{Account: "a3", Day: day("2025-01-02"), Kind: lake.ChangeNew, Delta: usd("100")},
	}
	summary, err := summarize(changes)
	if err != nil {
		t.Fatal(err)
	}
	prev := &lake.Manifest{Days: []lake.DayEntry{{AccountDays: 4}, {AccountDays: 6}}}
	restated := []string{
		gateRestatements + `: account "a1" on 2025-01-02: restated, delta -2`,
		gateRestatements + `: account "a2" on 2025-01-02: retracted, delta -3`,
	}
	none := Limits{MaxRestatedDays: -1, MaxRetracted: 1, MaxRetractedPercent: 10}
	with := func(change func(*Limits)) Limits { l := none; change(&l); return l }
	for _, c := range []struct {
		name   string
		limits Limits
		want   []string
	}{
		{"none", none, nil},
		{"dollars at the limit", with(func(l *Limits) { l.MaxRestatedUSD = "5" }), nil},
		{"dollars", with(func(l *Limits) { l.MaxRestatedUSD = "4.99" }), append([]string{
			gateRestatements + ": restatements would move 5 dollars, the limit is 4.99",
		}, restated...)},
		{"account-days at the limit", with(func(l *Limits) { l.MaxRestatedDays = 2 }), nil},
		{"account-days", with(func(l *Limits) { l.MaxRestatedDays = 1 }), append([]string{
			gateRestatements + ": 2 account-days would be restated or retracted, the limit is 1",
		}, restated...)},
		{"retractions at the percentage", with(func(l *Limits) { l.MaxRetracted = 0 }), nil},
		{"retractions", with(func(l *Limits) { l.MaxRetracted, l.MaxRetractedPercent = 0, 9 }), []string{
			gateRetractions + ": 1 of 10 released account-days would be retracted: raise --max-retracted or --max-retracted-percent if that is right",
			gateRetractions + `: account "a2" on 2025-01-02: retracted, delta -3`,
		}},
		{"retractions below the number that may always be", with(func(l *Limits) { l.MaxRetractedPercent = 0 }), nil},
	} {
		var f faults
		checkLimits(&c.limits, prev, &lake.Manifest{Changes: summary}, changes, &f)
		f.is(t, c.name, c.want...)
	}
}

// TestGatesNameTheirRows: an error names each gate once with its first row and how many more there are, and the
// manifest has every gate with at most 20 rows.
func TestGatesNameTheirRows(t *testing.T) {
	var f faults
	if f.err(nil) != nil || len(f.results()) != len(gateNames) {
		t.Fatalf("no faults: %v, %+v", f.err(nil), f.results())
	}
	for i := range maxNamed + 5 {
		f.add(gateReadBack, fmt.Sprint("row ", i))
	}
	f.add(gateNullKey, "a row")
	err := f.err(&lake.Manifest{Release: 6})
	if !errors.Is(err, ErrGate) || err.Error() != "blocked by check null_key, read_back; release 6 remains current: a row; row 0 (and 19 more)" {
		t.Errorf("error %q", err)
	}
	for _, r := range f.results() {
		failed := r.Gate == gateReadBack || r.Gate == gateNullKey
		if r.Passed == failed || len(r.Detail) > maxNamed {
			t.Errorf("%+v", r)
		}
	}
}

// stopped runs a publisher that must be stopped by a gate, and returns the lines of the gates that failed. The
// release that was newest must be that still.
func (w *world) stopped(run func() (TenantReport, error)) []string {
	w.t.Helper()
	before := w.current().Release
	r, err := run()
	if !errors.Is(err, ErrGate) {
		w.t.Fatalf("error %v, want %v", err, ErrGate)
	}
	if after := w.current().Release; after != before {
		w.t.Fatalf("release %d is the newest, before it was %d", after, before)
	}
	var lines []string
	for _, g := range r.Gates {
		for _, line := range g.Detail {
			lines = append(lines, g.Gate+": "+line)
		}
		if g.Passed != (len(g.Detail) == 0) {
			w.t.Errorf("gate %+v", g)
		}
	}
	return lines
}

// TestRunStopsAtWrongRelease edits the newest release, corrects an account of the same or of another day, and
// wants the run that builds on the edit to be stopped by the gate that can see it.
func TestRunStopsAtWrongRelease(t *testing.T) {
	const d = "2025-01-03" // a1: compute 3, a2: storage 1.5
	for _, c := range []struct {
		name string
		edit func(w *world)
		want []string
	}{
		{"an account-day that its service-days do not make", func(w *world) {
			w.republish(edits{day: d, accountDays: func(rows []lake.AccountDayRow) []lake.AccountDayRow {
				rows[1].Total = usd("2.5")
				return rows
			}})
		}, []string{gateTotals + `: account "a2" on 2025-01-03: total 2.5, its service-days sum to 1.5`}},
		{"a service-day that its account-day does not count", func(w *world) {
			w.republish(edits{day: d, serviceDays: func(rows []lake.ServiceDayRow) []lake.ServiceDayRow {
				rows[1].Total = usd("0.5")
				return rows
			}})
		}, []string{gateTotals + `: account "a2" on 2025-01-03: total 1.5, its service-days sum to 0.5`}},
		{"an account-day that its events do not make", func(w *world) { w.overstate(d, "a2", "1") }, []string{
			gateTotals + `: account "a2" on 2025-01-03: events sum to 1.5 (1 events), the account-day is 2.5 (1 events)`,
		}},
		{"an account-day without its events", func(w *world) {
			w.republish(edits{
				day: d,
				accountDays: func(rows []lake.AccountDayRow) []lake.AccountDayRow {
					return append(rows, lake.AccountDayRow{Tenant: billing.DefaultTenant, Account: "a3", Total: usd("5"), Events: 1, Complete: true, Revision: 1})
				},
				serviceDays: func(rows []lake.ServiceDayRow) []lake.ServiceDayRow {
					return append(rows, lake.ServiceDayRow{Tenant: billing.DefaultTenant, Account: "a3", Service: "s", Total: usd("5"), Events: 1})
				},
			})
		}, []string{gateTotals + `: events of 2025-01-03, accounts "a1" to "a2": 2 accounts written, 3 in daily_account_cost`}},
		{"a negative account-day", func(w *world) { w.overstate(d, "a2", "-4") }, []string{
			gateNegative + `: account "a2" on 2025-01-03: total -2.5, and the policy of the tenant is to reject negative costs`,
		}},
		{"the total of a day that is linked", func(w *world) {
			w.republish(edits{manifest: func(m *lake.Manifest) { entryOf(m, "2025-01-05").Total = usd("99") }})
		}, []string{gateTotals + ": 2025-01-05: daily_account_cost sums to 6.5, the day's total is 99"}},
		{"the events of a day that is linked", func(w *world) {
			w.republish(edits{day: "2025-01-05", events: func(rows []lake.EventRow) []lake.EventRow { return rows[:1] }})
		}, []string{gateCounts + ": 2025-01-05: 1 events in files, 2 in account-days"}},
		{"the total of the day before its correction", func(w *world) {
			w.republish(edits{manifest: func(m *lake.Manifest) { entryOf(m, d).Total = usd("99") }})
		}, []string{gateLedger + ": the ledger's delta_usd sum to 1, the totals changed by -93.5 (from 152.5 to 59)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.week()
			w.publish()
			c.edit(w)
			w.push(event("a1-3", "a1", "compute", d, "4", 2))
			w.caughtUp()
			got := w.stopped(w.run)
			for _, want := range c.want {
				if !slices.Contains(got, want) {
					t.Errorf("no line %q in\n%s", want, strings.Join(got, "\n"))
				}
			}
		})
	}
}

// TestRunStopsAtWrongRowGroup edits an account whose row group is unchanged in a day whose file of events is
// written again: the sum of the row group that would be reused is not that of its account-days.
func TestRunStopsAtWrongRowGroup(t *testing.T) {
	const d, accounts, perAccount = "2025-01-03", 10, 2_000
	w := newWorld(t)
	var records []string
	for i := range accounts * perAccount {
		records = append(records, event(fmt.Sprintf("e%05d", i), fmt.Sprintf("a%d", i%accounts), "compute", d, "1", 1))
	}
	w.push(records...)
	w.caughtUp()
	w.publish()
	w.overstate(d, "a9", "1")
	w.push(event("e00000", "a0", "compute", d, "2", 2))
	w.caughtUp()
	got := w.stopped(w.run)
	const want = gateTotals + `: released events of accounts "a8" to "a9" on 2025-01-03 sum to 4000, their account-days to 4001`
	if !slices.Contains(got, want) {
		t.Errorf("no line %q in\n%s", want, strings.Join(got, "\n"))
	}
}

// TestRunStopsAtEmptyDay: a late event leaves days without events between days with some.
func TestRunStopsAtEmptyDay(t *testing.T) {
	w := newWorld(t)
	w.week()
	w.publish()
	w.push(event("late", "a1", "compute", "2024-12-30", "1", 2))
	w.caughtUp()
	if got := w.stopped(w.run); len(got) != 1 || !strings.HasPrefix(got[0], gateEmptyDay+": 2024-12-31 has no event") {
		t.Errorf("lines %q", got)
	}
	w.cfg.AllowEmptyDays = true
	w.publish()
}

// TestRunStopsAtLimits: a run is stopped by its limits on restatements and retractions.
func TestRunStopsAtLimits(t *testing.T) {
	w := newWorld(t)
	w.week()
	w.publish()
	w.push(deletion("a1-3", 2), event("a1-4", "a1", "compute", "2025-01-04", "5", 2))
	w.caughtUp()
	limits := w.cfg.Limits
	for gate, set := range map[string]func(*Limits){
		gateRestatements: func(l *Limits) { l.MaxRestatedUSD = "3.99" },
		gateRetractions:  func(l *Limits) { l.MaxRetracted, l.MaxRetractedPercent = 0, 0 },
	} {
		w.cfg.Limits = limits
		set(&w.cfg.Limits)
		if got := w.stopped(w.run); !strings.HasPrefix(got[0], gate+": ") || !strings.HasPrefix(got[len(got)-1], gate+": account ") {
			t.Errorf("%s: lines %q", gate, got)
		}
	}
	w.cfg.Limits = limits
	w.publish()
}

// TestRunStopsAtDimensionKeys: a key that is twice in a tenant's dimension file.
func TestRunStopsAtDimensionKeys(t *testing.T) {
	w := newWorld(t)
	w.week()
	w.publish()
	w.cfg.Dimensions = dimensionsDir(t, map[string]string{"dim_account.csv": "account_id,team\na1,x\na1,y\n"})
	want := []string{gateDimension + `: dim_account.csv: account_id "a1" is on lines 2 and 3`}
	if got := w.stopped(w.run); !slices.Equal(got, want) {
		t.Errorf("lines %q", got)
	}
}

// TestGatesAreDocumented: docs/format-release.md has each gate and no other.
func TestGatesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/format-release.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Gates\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var documented []string
	for line := range strings.Lines(section) {
		if name, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ = strings.Cut(name, "`")
			documented = append(documented, name)
		}
	}
	if !slices.Equal(documented, gateNames) {
		t.Errorf("documented %q, want %q", documented, gateNames)
	}
}

// rotting is a file system that changes a byte of the files of a dataset that a build has written, before they are
// read again.
type rotting struct {
	disk.FS
	dataset lake.Dataset // empty: none
}

// Open is disk.FS's.
func (r *rotting) Open(name string) (disk.File, error) {
	if r.dataset != "" && strings.Contains(name, "/tmp/") && strings.Contains(name, string(r.dataset)) {
		if err := flipByteAt(r.FS, name, 8); err != nil {
			return nil, err
		}
	}
	return r.FS.Open(name)
}

// flipByteAt changes a byte of a file.
func flipByteAt(fsys disk.FS, name string, at int) error {
	data, err := disk.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	data[at] ^= 1
	return disk.WriteFile(fsys, name, data)
}

// TestReadBackStopsRelease: what is on the disk is not what was written, in any dataset.
func TestReadBackStopsRelease(t *testing.T) {
	for _, ds := range lake.Datasets() {
		t.Run(string(ds), func(t *testing.T) {
			fs := &rotting{FS: disktest.Mem(vfs.NewMem())}
			w := newWorldOn(t, fs, "/lake")
			w.week()
			w.publish()
			w.push(event("a1-3", "a9", "more", "2025-01-03", "4", 2))
			w.caughtUp()
			fs.dataset = ds
			got := w.stopped(w.run)
			if len(got) != 1 || !strings.HasPrefix(got[0], gateReadBack+": "+string(ds)+"/") {
				t.Errorf("lines %q", got)
			}
			fs.dataset = ""
			w.publish()
		})
	}
}

// TestRunStopsAtHold: nothing is published after a rollback before the hold is lifted.
func TestRunStopsAtHold(t *testing.T) {
	w := newWorld(t)
	w.week()
	w.publish()
	w.push(event("a1-3", "a1", "compute", "2025-01-03", "4", 2))
	w.caughtUp()
	w.publish()
	_, err := w.publisher().Rollback(t.Context(), billing.DefaultTenant, 1, "op")
	w.check(err)
	if r, err := w.run(); !errors.Is(err, ErrHold) || !strings.Contains(err.Error(), "rolled back from release 2 to 1") || r.Outcome != Failed || r.Release != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := w.publisher().Backfill(t.Context(), AllDays, false); !errors.Is(err, ErrHold) {
		t.Fatalf("backfill: %v, want %v", err, ErrHold)
	}
	if n := w.current().Release; n != 3 {
		t.Fatalf("release %d is the newest", n)
	}
	held, err := w.publisher().Resume(billing.DefaultTenant)
	if w.check(err); !held {
		t.Error("no hold to lift")
	}
	w.publish()
}

// TestNotBehind refuses a state of another log, or of less of it than the release has read.
func TestNotBehind(t *testing.T) {
	in := &input{
		identity:  state.Identity{Cluster: "c", Topics: []state.Topic{{Name: "billing", ID: "aa"}}},
		positions: []state.Position{{Partition: state.PartitionID{Partition: 0}, NextOffset: 5}, {Partition: state.PartitionID{Partition: 1}, NextOffset: 7}},
	}
	right := func() *lake.Manifest {
		return &lake.Manifest{Release: 4, Cluster: "c", Input: []lake.InputPosition{
			{Topic: "billing", TopicID: "aa", NextOffset: 5}, {Topic: "billing", TopicID: "aa", Partition: 1, NextOffset: 6},
		}}
	}
	for _, c := range []struct {
		name string
		edit func(*lake.Manifest)
		want error
		text string
	}{
		{"the same log", func(*lake.Manifest) {}, nil, ""},
		{"another cluster", func(m *lake.Manifest) { m.Cluster = "d" }, ErrOtherState, `release 4 read cluster "d", this state reads "c"`},
		{"another topic", func(m *lake.Manifest) { m.Input[1].Topic = "usage" }, ErrOtherState, `release 4 read topic "usage", which this state does not`},
		{"a topic of the same name", func(m *lake.Manifest) { m.Input[1].TopicID = "bb" }, ErrOtherState, `release 4 read topic "billing" with id "bb", this state's has "aa"`},
		{"less of a partition", func(m *lake.Manifest) { m.Input[1].NextOffset = 8 }, ErrBehind, "release 4 has read billing/1 up to offset 8, this state up to 7"},
		{"nothing of a partition", func(m *lake.Manifest) { m.Input[1].Partition = 2 }, ErrBehind, "release 4 has read billing/2 up to offset 6, this state up to 0"},
	} {
		m := right()
		c.edit(m)
		err := in.notBehind(m)
		if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %v: %s", c.name, err, c.want, c.text)
		}
	}
}
