package publish

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/billing"
	"daybook/internal/disk"
	"daybook/internal/lake"
	"daybook/internal/test/disktest"
)

// differing verifies, and returns the differences. The error must be that of differences, if there are any.
func (w *world) differing() []string {
	w.t.Helper()
	all, err := w.publisher().Verify(w.t.Context())
	if len(all) != 1 {
		w.t.Fatalf("%+v, %v", all, err)
	}
	v := all[0]
	if len(v.Differ) == 0 {
		w.check(err)
		return nil
	}
	if !errors.Is(err, ErrDifference) || !errors.Is(v.Err, ErrDifference) || !strings.Contains(err.Error(), v.Differ[0]) {
		w.t.Errorf("error %v, want %v", err, ErrDifference)
	}
	return v.Differ
}

// TestVerifyFindsEditedRelease edits the newest release and wants each edit to be named, and nothing else.
func TestVerifyFindsEditedRelease(t *testing.T) {
	const d = "2025-01-03" // a1: compute 3, a2: storage 1.5
	for _, c := range []struct {
		name string
		edit edits
		want []string
	}{
		{"nothing", edits{}, nil},
		{"the total of an account-day", edits{accountDays: func(rows []lake.AccountDayRow) []lake.AccountDayRow {
			rows[1].Total = usd("1.500000000000000001")
			return rows
		}}, []string{
			`account "a2" on 2025-01-03: released 1.500000000000000001 of 1 events, recomputed 1.5 of 1 events`,
			"2025-01-03: daily_account_cost sums to 4.500000000000000001, the day's total is 4.5",
		}},
		{"the count of an account-day", edits{accountDays: func(rows []lake.AccountDayRow) []lake.AccountDayRow {
			rows[0].Events = 2
			return rows
		}}, []string{`account "a1" on 2025-01-03: released 3 of 2 events, recomputed 3 of 1 events`}},
		{"an account-day too few", edits{accountDays: func(rows []lake.AccountDayRow) []lake.AccountDayRow { return rows[1:] }}, []string{
			`account "a1" on 2025-01-03: released service "compute" with 3 of 1 events, and no account-day`,
			`account "a1" on 2025-01-03: not released, recomputed 3 of 1 events`,
			"2025-01-03: daily_account_cost sums to 1.5, the day's total is 4.5",
			"2025-01-03: 1 rows in daily_account_cost, 2 account-days",
		}},
		{"an account-day too many", edits{accountDays: func(rows []lake.AccountDayRow) []lake.AccountDayRow {
			return append(rows, lake.AccountDayRow{Tenant: billing.DefaultTenant, Account: "a3", Total: usd("5"), Events: 1})
		}}, []string{
			`account "a3" on 2025-01-03: released 5 of 1 events, recomputed 0 of 0 events`,
			"2025-01-03: daily_account_cost sums to 9.5, the day's total is 4.5",
			"2025-01-03: 3 rows in daily_account_cost, 2 account-days",
		}},
		{"the total of a service-day", edits{serviceDays: func(rows []lake.ServiceDayRow) []lake.ServiceDayRow {
			rows[0].Total = usd("2")
			return rows
		}}, []string{
			`account "a1" on 2025-01-03: released 3 of 1 events, recomputed 3 of 1 events`,
			"2025-01-03: account_service_day_cost sums to 3.5, the day's total is 4.5",
		}},
		{"another service", edits{serviceDays: func(rows []lake.ServiceDayRow) []lake.ServiceDayRow {
			rows[0].Service = "storage"
			return rows
		}}, []string{`account "a1" on 2025-01-03: released 3 of 1 events, recomputed 3 of 1 events`}},
		{"a service-day before the first account-day", edits{serviceDays: func(rows []lake.ServiceDayRow) []lake.ServiceDayRow {
			return slices.Insert(rows, 0, lake.ServiceDayRow{Tenant: billing.DefaultTenant, Account: "a0", Service: "s", Events: 1})
		}}, []string{`account "a0" on 2025-01-03: released service "s" with 0 of 1 events, and no account-day`}},
		{"a service-day after the last account-day", edits{serviceDays: func(rows []lake.ServiceDayRow) []lake.ServiceDayRow {
			return append(rows, lake.ServiceDayRow{Tenant: billing.DefaultTenant, Account: "a9", Service: "s", Events: 1})
		}}, []string{`account "a9" on 2025-01-03: released service "s" with 0 of 1 events, and no account-day`}},
		{"the count of a day in the manifest", edits{manifest: func(m *lake.Manifest) { entryOf(m, d).Events = 3 }}, []string{
			"2025-01-03: 2 events in files, 3 in account-days",
		}},
		{"an event too few", edits{events: func(rows []lake.EventRow) []lake.EventRow { return rows[1:] }}, []string{
			`event "a1-3" of account "a1" on 2025-01-03 is not in the release`,
			"2025-01-03: normalized_billing_events sums to 1.5, the day's total is 4.5",
			"2025-01-03: 1 events in files, 2 in account-days",
		}},
		{"the last event too few", edits{events: func(rows []lake.EventRow) []lake.EventRow { return rows[:1] }}, []string{
			`event "a2-3" of account "a2" on 2025-01-03 is not in the release`,
			"2025-01-03: normalized_billing_events sums to 3, the day's total is 4.5",
			"2025-01-03: 1 events in files, 2 in account-days",
		}},
		{"an event too many", edits{events: func(rows []lake.EventRow) []lake.EventRow {
			more := rows[0]
			more.Event.ID = "a1-4"
			return slices.Insert(rows, 1, more)
		}}, []string{
			`event "a1-4" is in 2 account-days: account "a1" on 2025-01-03, account "a1" on 2025-01-04`,
			`event "a1-4" of account "a1" on 2025-01-03 is not in the state`,
			"2025-01-03: normalized_billing_events sums to 7.5, the day's total is 4.5",
			"2025-01-03: 3 events in files, 2 in account-days",
		}},
		{"the cost of an event", edits{events: func(rows []lake.EventRow) []lake.EventRow {
			rows[0].Event.Cost = usd("4")
			return rows
		}}, []string{
			`event "a1-3" of account "a1" on 2025-01-03 has another content in the state`,
			"2025-01-03: normalized_billing_events sums to 5.5, the day's total is 4.5",
		}},
		{"the region of an event", edits{events: func(rows []lake.EventRow) []lake.EventRow {
			rows[1].Event.Region = "eu"
			return rows
		}}, []string{`event "a2-3" of account "a2" on 2025-01-03 has another content in the state`}},
		{"the account of an event", edits{events: func(rows []lake.EventRow) []lake.EventRow {
			rows[0].Event.Account = "a0"
			return rows
		}}, []string{
			`event "a1-3" of account "a0" on 2025-01-03 is not in the state`,
			`event "a1-3" of account "a1" on 2025-01-03 is not in the release`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.week()
			w.publish()
			c.edit.day = d
			w.republish(c.edit)
			if got := w.differing(); !slices.Equal(got, c.want) {
				t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// TestVerifyFindsEditedState reads another record in the place of one of the log and wants a release of the first
// log to be found different, and equal where the record was not changed.
func TestVerifyFindsEditedState(t *testing.T) {
	for _, c := range []struct {
		name, from, to string
		want           []string
	}{
		{"nothing", "", "", nil},
		{"cost", `"cost_usd":3,`, `"cost_usd":3.000000000000000001,`, []string{
			`account "a1" on 2025-01-03: released 3 of 1 events, recomputed 3.000000000000000001 of 1 events`,
			`event "a1-3" of account "a1" on 2025-01-03 has another content in the state`,
		}},
		{"service", `"compute"`, `"batch"`, []string{
			`account "a1" on 2025-01-03: released 3 of 1 events, recomputed 3 of 1 events`,
			`event "a1-3" of account "a1" on 2025-01-03 has another content in the state`,
		}},
		{"account", `"a1"`, `"a3"`, []string{
			`account "a1" on 2025-01-03: released 3 of 1 events, recomputed 0 of 0 events`,
			`account "a3" on 2025-01-03: not released, recomputed 3 of 1 events`,
			`event "a1-3" of account "a1" on 2025-01-03 is not in the state`,
			`event "a1-3" of account "a3" on 2025-01-03 is not in the release`,
		}},
		{"day", `"2025-01-03"`, `"2025-01-04"`, []string{
			`account "a1" on 2025-01-03: released 3 of 1 events, recomputed 0 of 0 events`,
			`event "a1-3" of account "a1" on 2025-01-03 is not in the state`,
			`account "a1" on 2025-01-04: released 4 of 1 events, recomputed 7 of 2 events`,
			`event "a1-3" of account "a1" on 2025-01-04 is not in the release`,
		}},
		{"event id", `"a1-3"`, `"a1-4"`, []string{ // which is that of the next day's, a greater version
			`account "a1" on 2025-01-03: released 3 of 1 events, recomputed 0 of 0 events`,
			`event "a1-3" of account "a1" on 2025-01-03 is not in the state`,
		}},
		{"attributes", `"cost_usd"`, `"team":"x","cost_usd"`, []string{
			`event "a1-3" of account "a1" on 2025-01-03 has another content in the state`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.week()
			w.publish()
			for i, r := range w.log[0] {
				if c.from != "" && strings.Contains(string(r.Value), `"event_id":"a1-3"`) {
					w.log[0][i].Value = []byte(strings.Replace(string(r.Value), c.from, c.to, 1))
				}
			}
			w.newState(1)
			w.read(0, len(w.log[0]))
			w.caughtUp()
			if got := w.differing(); !slices.Equal(got, c.want) {
				t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// TestVerifySkipsWhatChanged: account-days that changed since the release are counted and not compared; those of
// the same days that did not change are.
func TestVerifySkipsWhatChanged(t *testing.T) {
	w := newWorld(t)
	w.week()
	w.publish()
	w.overstate("2025-01-03", "a2", "1")
	w.push(event("a1-3", "a1", "compute", "2025-01-03", "9", 2), event("more", "a3", "compute", "2025-01-03", "1", 2))
	all, err := w.publisher().Verify(t.Context())
	want := []string{
		`account "a2" on 2025-01-03: released 2.5 of 1 events, recomputed 1.5 of 1 events`,
		"2025-01-03: normalized_billing_events sums to 4.5, the day's total is 5.5",
	}
	if v := all[0]; !errors.Is(err, ErrDifference) || !slices.Equal(v.Differ, want) || v.Skipped != 2 || v.Accounts != 12 || v.Events != 14 {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestVerifyReadsEveryFile changes one byte of each file of a release in turn.
func TestVerifyReadsEveryFile(t *testing.T) {
	fs := disktest.Mem(vfs.NewMem())
	w := newWorldOn(t, fs, "/lake")
	w.week()
	w.publish()
	for _, f := range w.current().Files {
		name := w.series().Dir(1) + "/" + f.Path
		flipByte(w, fs, name, f.Bytes/2)
		if all, err := w.publisher().Verify(t.Context()); !errors.Is(err, lake.ErrDamaged) || !strings.Contains(fmt.Sprint(all[0].Err), f.Path) {
			t.Errorf("%s: %+v, %v", f.Path, all, err)
		}
		flipByte(w, fs, name, f.Bytes/2)
	}
	if got := w.differing(); got != nil {
		t.Errorf("differences %q", got)
	}
}

// flipByte changes a bit of a byte of a file; a second time it changes it back.
func flipByte(w *world, fs disk.FS, name string, at int64) {
	w.t.Helper()
	w.check(flipByteAt(fs, name, int(at)))
}

// TestVerifyRefusesStateBehind: a state that has read less than the release cannot verify it.
func TestVerifyRefusesStateBehind(t *testing.T) {
	w := newWorld(t)
	w.week()
	w.publish()
	w.newState(1)
	w.read(0, len(w.log[0])-1)
	w.caughtUp()
	if _, err := w.publisher().Verify(t.Context()); !errors.Is(err, ErrBehind) {
		t.Errorf("error %v, want %v", err, ErrBehind)
	}
}

// readingFS counts the bytes of files of events that are read from the start to the end, as hashing them does.
type readingFS struct {
	disk.FS
	sequential atomic.Int64
}

type readingFile struct {
	disk.File
	fs *readingFS
}

// Open is disk.FS's.
func (r *readingFS) Open(name string) (disk.File, error) {
	f, err := r.FS.Open(name)
	if err != nil || !strings.Contains(name, string(lake.Events)+"/") {
		return f, err
	}
	return &readingFile{f, r}, nil
}

// Read is disk.File's.
func (f *readingFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	f.fs.sequential.Add(int64(n))
	return n, err
}

// TestVerifyHashesOnce: verify reads the files of events once for their hashes.
func TestVerifyHashesOnce(t *testing.T) {
	fs := &readingFS{FS: disktest.Mem(vfs.NewMem())}
	w := newWorldOn(t, fs, "/lake")
	w.week()
	w.publish()
	var bytes int64
	for _, f := range w.current().Files {
		if f.Dataset == lake.Events {
			bytes += f.Bytes
		}
	}
	fs.sequential.Store(0)
	if got := w.differing(); got != nil {
		t.Fatalf("differences %q", got)
	}
	if got := fs.sequential.Load(); got != bytes {
		t.Errorf("%d bytes read in sequence of files with %d", got, bytes)
	}
}
