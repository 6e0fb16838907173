package publish

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"daybook/internal/billing"
	"daybook/internal/clock"
	"daybook/internal/disk"
	"daybook/internal/lake"
	"daybook/internal/state"
)

// week pushes events of a week: a1 with 15 and a2 with 7 dollars on 2025-01-01, and one charge of each account on
// each of the next six days.
func (w *world) week() {
	w.t.Helper()
	values := []string{
		event("e1", "a1", "compute", "2025-01-01", "10.0", 1),
		event("e2", "a1", "storage", "2025-01-01", "5.0", 1),
		event("e3", "a2", "compute", "2025-01-01", "7.0", 1),
	}
	for d := 2; d <= 7; d++ {
		date := fmt.Sprintf("2025-01-%02d", d)
		values = append(values,
			event(fmt.Sprintf("a1-%d", d), "a1", "compute", date, fmt.Sprint(d), 1),
			event(fmt.Sprintf("a2-%d", d), "a2", "storage", date, "1.5", 1))
	}
	w.push(values...)
	w.caughtUp()
}

// TestSeedExample: two accounts, a week, and a corrected event on 01-03. Only the files of that day differ.
func TestSeedExample(t *testing.T) {
	dir := t.TempDir()
	w := newWorldOn(t, disk.OS(), dir)
	w.week()
	w.publish()
	if got := w.rows(); got[0] != "2025-01-01 a1 15" || got[1] != "2025-01-01 a2 7" || len(got) != 14 {
		t.Fatalf("rows %q", got)
	}
	before := inodes(t, w.series().Dir(1))
	w.nothing()

	w.push(event("a1-3", "a1", "compute", "2025-01-03", "4.25", 2))
	w.caughtUp()
	r := w.publish()
	if r.Changes.Restated != 1 || r.Changes.Delta.String() != "1.25" || r.Days != 1 || r.Accounts != 1 {
		t.Fatalf("changes %+v, %d days, %d account-days recomputed", r.Changes, r.Days, r.Accounts)
	}
	after := inodes(t, w.series().Dir(2))
	for name, inode := range before {
		corrected := strings.Contains(name, "usage_date=2025-01-03")
		moved := after[name] != inode
		dimension := strings.HasPrefix(name, "dim_")
		if !dimension && name != "manifest.json" && corrected != moved {
			t.Errorf("%s: of the corrected day %v, another file %v", name, corrected, moved)
		}
	}
	row := w.row("2025-01-03", "a1")
	if row.Total.String() != "4.25" || row.Revision != 2 || row.Previous.String() != "3" || !row.PublishedAt.Equal(w.now) {
		t.Fatalf("row %+v", row)
	}
	if other := w.row("2025-01-03", "a2"); other.Revision != 1 {
		t.Fatalf("row of another account %+v", other)
	}

	numbers := w.rows()
	hashes := hashes(w.current())
	report, err := w.publisher().Backfill(t.Context(), Window{From: day("2025-01-01"), To: day("2025-01-07")}, false)
	w.check(err)
	if c := report.Tenants[0].Changes; c != (lake.ChangeSummary{}) {
		t.Fatalf("backfill changed %+v", c)
	}
	if got := w.rows(); !slices.Equal(got, numbers) {
		t.Fatalf("rows after backfill %q, before %q", got, numbers)
	}
	for key, hash := range hashesOf(w.current(), lake.Events, lake.ServiceDays, lake.AccountDays) {
		if !slices.Contains(hashes, hash) {
			t.Errorf("backfill wrote other bytes for %s", key)
		}
	}
	w.nothing()
}

// inodes are the files under a directory.
func inodes(t *testing.T, dir string) map[string]uint64 {
	t.Helper()
	found := map[string]uint64{}
	err := os.CopyFS(t.TempDir(), os.DirFS(dir)) // also: everything can be read
	if err != nil {
		t.Fatal(err)
	}
	var walk func(prefix string)
	walk = func(prefix string) {
		entries, err := os.ReadDir(dir + "/" + prefix)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			name := prefix + e.Name()
			if e.IsDir() {
				walk(name + "/")
				continue
			}
			info, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			found[name] = info.Sys().(*syscall.Stat_t).Ino
		}
	}
	walk("")
	return found
}

func hashes(m *lake.Manifest) []string {
	var out []string
	for _, f := range m.Files {
		out = append(out, f.SHA256)
	}
	return out
}

func hashesOf(m *lake.Manifest, sets ...lake.Dataset) map[string]string {
	out := map[string]string{}
	for _, f := range m.Files {
		if slices.Contains(sets, f.Dataset) {
			out[f.Path] = f.SHA256
		}
	}
	return out
}

func TestRefusals(t *testing.T) {
	t.Run("an older as-of", func(t *testing.T) {
		w := newWorld(t)
		w.week()
		w.publish()
		w.cfg.AsOf = AsOf{w.now.Add(-time.Hour)}
		if _, err := w.run(); !errors.Is(err, ErrAsOf) {
			t.Fatalf("error %v, want ErrAsOf", err)
		}
	})
	t.Run("input behind, and --allow-incomplete", func(t *testing.T) {
		w := newWorld(t)
		w.push(event("e", "a", "s", "2025-01-07", "1", 1))
		if _, err := w.run(); !errors.Is(err, ErrIncomplete) || !strings.Contains(err.Error(), "billing/0") {
			t.Fatalf("error %v, want ErrIncomplete naming billing/0", err)
		}
		w.cfg.AllowIncomplete = true
		w.publish()
		if got := w.rows(); !slices.Equal(got, []string{"2025-01-07 a 1 incomplete"}) {
			t.Fatalf("rows %q", got)
		}
		w.nothing()
		// Catching up makes the day complete without an event.
		w.cfg.AllowIncomplete = false
		w.caughtUp()
		r := w.publish()
		if r.Changes.Completeness != 1 || r.Changes.Restated != 0 {
			t.Fatalf("changes %+v", r.Changes)
		}
		if row := w.row("2025-01-07", "a"); !row.Complete || row.Revision != 2 || row.Total.String() != "1" {
			t.Fatalf("row %+v", row)
		}
		w.nothing()
	})
	t.Run("a caught-up-at in the future is no evidence", func(t *testing.T) {
		w := newWorld(t)
		w.week()
		w.setClockBack(time.Minute)
		if _, err := w.run(); !errors.Is(err, ErrIncomplete) {
			t.Fatalf("error %v, want ErrIncomplete", err)
		}
	})
	for name, ahead := range map[string]time.Duration{"150 seconds": 150 * time.Second, "years": 5*365*24*time.Hour + 150*time.Second} {
		t.Run("evidence of a clock that was ahead by "+name+" does not become valid by waiting", func(t *testing.T) {
			w := newWorld(t)
			w.push(event("e1", "a", "compute", "2025-01-07", "1", 1))
			// A minute before the cutoff of 2025-01-08, by a clock that is ahead: it shows a moment after a cutoff.
			w.now = at("2025-01-09T01:59:00Z").Add(ahead)
			w.caughtUp()
			evidence := w.now
			w.setClockBack(ahead)
			for _, now := range []time.Time{w.now, evidence, evidence.Add(time.Minute), evidence.Add(20 * time.Hour)} {
				w.now = now // real time goes on
				if r, err := w.run(); !errors.Is(err, ErrIncomplete) {
					t.Fatalf("at %s: outcome %s, error %v, want ErrIncomplete", w.now, r.Outcome, err)
				}
			}
			w.cfg.AllowIncomplete = true
			if r := w.publish(); r.Release != 1 {
				t.Fatalf("release %d", r.Release)
			}
			if row := w.row("2025-01-07", "a"); row.Complete {
				t.Error("complete by evidence of a clock that was wrong")
			}
			for _, p := range w.current().Input {
				if !p.CaughtUpAt.IsZero() {
					t.Errorf("the manifest says that %s/%d is caught up at %s", p.Topic, p.Partition, p.CaughtUpAt)
				}
			}
			// Evidence that is made again counts.
			w.cfg.AllowIncomplete = false
			w.caughtUp()
			w.publish()
			if row := w.row("2025-01-07", "a"); !row.Complete {
				t.Error("still incomplete after it was caught up again")
			}
		})
	}
	t.Run("evidence from before the machine's start is none", func(t *testing.T) {
		w := newWorld(t)
		w.week()
		made := w.reading()
		made.Boot = clock.BootID{2}
		_, err := w.store.Apply(&state.Batch{CaughtUp: []state.CaughtUp{state.NewCaughtUp(state.PartitionID{}, made)}})
		w.check(err)
		if _, err := w.run(); !errors.Is(err, ErrIncomplete) || !strings.Contains(err.Error(), string(state.DoubtOtherBoot)) {
			t.Fatalf("error %v, want ErrIncomplete and why", err)
		}
	})
	t.Run("an idle topic reaches the next cutoff", func(t *testing.T) {
		w := newWorld(t)
		w.week()
		w.publish()
		w.now = w.now.Add(24 * time.Hour)
		if _, err := w.run(); !errors.Is(err, ErrIncomplete) {
			t.Fatalf("error %v, want ErrIncomplete", err)
		}
		w.caughtUp()
		w.nothing()
	})
	t.Run("another cluster", func(t *testing.T) {
		w := newWorld(t)
		w.week()
		w.publish()
		m := *w.current()
		in := &input{identity: state.Identity{Cluster: "other"}}
		if err := in.notBehind(&m); !errors.Is(err, ErrOtherState) {
			t.Fatalf("error %v, want ErrOtherState", err)
		}
	})
	t.Run("a state that has read less", func(t *testing.T) {
		w := newWorld(t)
		w.week()
		w.publish()
		w.newState(1)
		w.read(0, 3)
		w.caughtUp()
		if _, err := w.run(); !errors.Is(err, ErrBehind) {
			t.Fatalf("error %v, want ErrBehind", err)
		}
	})
}

// A rebuilt state has other and lower sequences. Its next correction is published, and unchanged rows stay.
func TestRebuiltState(t *testing.T) {
	w := newWorld(t)
	for _, cost := range []string{"1", "2", "3", "4"} {
		w.push(event("x", "a1", "s", "2025-01-02", cost, 1))
	}
	w.week()
	w.publish()
	high := w.current().Covered

	w.newState(1)
	w.now = w.now.Add(time.Minute)
	w.read(0, len(w.log[0])) // one write where there were five
	w.caughtUp()
	r, err := w.run()
	w.check(err)
	if len(r.Rows) != 0 {
		t.Fatalf("a rebuild changed %+v", r.Rows)
	}
	if covered := w.current().Covered; covered >= high {
		t.Fatalf("the rebuilt state's sequence %d is not lower than %d: the test shows nothing", covered, high)
	}
	if row := w.row("2025-01-02", "a1"); row.Revision != 1 || row.PublishedAt.Equal(w.now) {
		t.Fatalf("an unchanged row moved: %+v", row)
	}
	w.push(event("a1-2", "a1", "compute", "2025-01-02", "20", 2))
	w.caughtUp()
	w.publish()
	if got := w.row("2025-01-02", "a1").Total.String(); got != "24" {
		t.Fatalf("total %s after the correction, want 24", got)
	}
}

// A record that is quarantined after the release makes its row incomplete; a
// greater version of the event makes it complete again.
func TestQuarantineAfterPublication(t *testing.T) {
	w := newWorld(t)
	w.week()
	w.publish()
	w.push(event("late", "a1", "compute", "2025-01-03", "-5", 2))
	w.caughtUp()
	r := w.publish()
	if r.Changes.Completeness != 1 || r.Rows[0].Kind != lake.ChangeCompleteness {
		t.Fatalf("changes %+v", r.Rows)
	}
	row := w.row("2025-01-03", "a1")
	if row.Complete || row.Revision != 2 || row.Total.String() != "3" {
		t.Fatalf("row %+v", row)
	}
	m := w.current()
	if q := m.Quarantine; len(q) != 1 || q[0].Records != 1 || q[0].Readable.String() != "-5" || !q[0].NamesDay {
		t.Fatalf("quarantine in the manifest %+v", q)
	}
	w.nothing()

	w.push(event("late", "a1", "compute", "2025-01-03", "5", 3))
	w.caughtUp()
	r = w.publish()
	if got := strings.Join(r.Rows[0].Reasons, ","); len(r.Rows) != 1 || got != "late_event,quarantine_resolved" {
		t.Fatalf("changes %+v", r.Rows)
	}
	if row := w.row("2025-01-03", "a1"); !row.Complete || row.Revision != 3 || row.Total.String() != "8" {
		t.Fatalf("row %+v", row)
	}
}

// An account-day of which only a quarantined record is known has a row.
func TestOnlyQuarantined(t *testing.T) {
	w := newWorld(t)
	w.week()
	w.push(event("bad", "a9", "compute", "2025-01-08", "-5", 2))
	w.now = w.now.Add(24 * time.Hour)
	w.caughtUp()
	w.publish()
	if got := w.rows()[14]; got != "2025-01-08 a9 0 incomplete" {
		t.Fatalf("row %q", got)
	}
	w.push(event("bad", "a8", "compute", "2025-01-08", "5", 3))
	w.caughtUp()
	r := w.publish()
	if got := w.rows()[14:]; !slices.Equal(got, []string{"2025-01-08 a8 5"}) || r.Changes.Retracted != 1 || r.Changes.New != 1 {
		t.Fatalf("rows %q, changes %+v", got, r.Changes)
	}
}

// Account-days that lose their last event by a move or a delete are retracted.
func TestMovesAndDeletes(t *testing.T) {
	w := newWorld(t)
	w.week()
	w.publish()
	w.push(
		event("a1-4", "a3", "compute", "2025-01-05", "4", 2), // moves account and day
		deletion("a2-6", 2))
	w.caughtUp()
	r := w.publish()
	if r.Changes.Retracted != 2 || r.Changes.New != 1 || r.Changes.Delta.String() != "-1.5" {
		t.Fatalf("changes %+v", r.Rows)
	}
	if w.row("2025-01-04", "a1") != nil || w.row("2025-01-06", "a2") != nil || w.row("2025-01-05", "a3") == nil {
		t.Fatalf("rows %q", w.rows())
	}
	reasons := map[string]string{}
	for _, c := range r.Rows {
		reasons[c.Day.String()+" "+string(c.Account)] = strings.Join(c.Reasons, ",")
	}
	want := map[string]string{"2025-01-04 a1": "moved_out", "2025-01-05 a3": "moved_in", "2025-01-06 a2": "deleted"}
	if fmt.Sprint(reasons) != fmt.Sprint(want) {
		t.Fatalf("reasons %v, want %v", reasons, want)
	}
}

// A version that changes the content of an event, but no total, is in the events dataset.
func TestContentWithoutTotal(t *testing.T) {
	w := newWorld(t)
	w.week()
	w.publish()
	w.push(`{"event_id":"a1-3","account_id":"a1","service_name":"compute","usage_date":"2025-01-03","cost_usd":3,"region":"eu-1","note":"x","ingested_at":"2025-01-08T05:00:00Z"}`)
	w.caughtUp()
	r := w.publish()
	if len(r.Rows) != 0 {
		t.Fatalf("ledger %+v", r.Rows)
	}
	m := w.current()
	var regions []billing.Region
	for _, f := range m.Files {
		if f.IsOf(lake.Events, day("2025-01-03")) {
			for row, err := range w.series().ReadEvents(m, f) {
				w.check(err)
				regions = append(regions, row.Event.Region)
			}
		}
	}
	if !slices.Contains(regions, "eu-1") {
		t.Fatalf("regions in the file %q", regions)
	}
	if i := slices.IndexFunc(m.Days, func(d lake.DayEntry) bool { return d.Day == day("2025-01-03") }); !slices.Equal(m.Days[i].Regions, []string{"eu-1"}) {
		t.Fatalf("regions in the manifest %q", m.Days[i].Regions)
	}
}
