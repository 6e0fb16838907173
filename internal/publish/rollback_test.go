package publish

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/billing"
	"daybook/internal/inspect"
	"daybook/internal/lake"
	"daybook/internal/test/disktest"
)

// TestRollbackOfCompleteness: a rollback to a release that differs in completeness alone says so in the ledger.
func TestRollbackOfCompleteness(t *testing.T) {
	w := newWorld(t)
	w.push(event("e", "a", "s", "2025-01-07", "1", 1))
	w.cfg.AllowIncomplete = true
	w.publish()
	w.cfg.AllowIncomplete = false
	w.caughtUp()
	if r := w.publish(); r.Changes != (lake.ChangeSummary{Completeness: 1}) {
		t.Fatalf("changes %+v", r.Changes)
	}
	m, err := w.publisher().Rollback(t.Context(), billing.DefaultTenant, 1, "op")
	w.check(err)
	if m.Changes != (lake.ChangeSummary{Completeness: 1}) {
		t.Errorf("changes %+v", m.Changes)
	}
	rows, err := w.series().ReadChanges(w.current(), m.Release)
	w.check(err)
	if len(rows) != 1 || rows[0].Kind != lake.ChangeCompleteness || rows[0].Account != "a" || rows[0].Day != day("2025-01-07") ||
		!slices.Equal(rows[0].Reasons, []string{inspect.ReasonRollback, inspect.ReasonInputBehind}) || rows[0].Old != usd("1") || rows[0].New != usd("1") {
		t.Errorf("ledger %+v", rows)
	}
	if row := w.row("2025-01-07", "a"); row.Complete {
		t.Errorf("row %+v", row)
	}
}

// TestRollbackToDamagedRelease: the content of a release whose files are damaged is never published again.
func TestRollbackToDamagedRelease(t *testing.T) {
	fs := disktest.Mem(vfs.NewMem())
	w := newWorldOn(t, fs, "/lake")
	w.week()
	w.publish()
	old := w.current()
	w.push(event("a1-3", "a1", "compute", "2025-01-03", "4", 2))
	w.caughtUp()
	w.publish()
	at := slices.IndexFunc(old.Files, func(f lake.File) bool { return f.Dataset == lake.Events && f.Day != nil && *f.Day == day("2025-01-03") })
	flipByte(w, fs, w.series().Dir(1)+"/"+old.Files[at].Path, 100)
	_, err := w.publisher().Rollback(t.Context(), billing.DefaultTenant, 1, "op")
	if !errors.Is(err, lake.ErrDamaged) || !strings.Contains(err.Error(), "verify release 1") {
		t.Errorf("error %v, want %v", err, lake.ErrDamaged)
	}
	hold, err := w.series().Hold()
	if w.check(err); hold != nil || w.current().Release != 2 {
		t.Errorf("hold %+v, release %d is the newest", hold, w.current().Release)
	}
}

// TestRollbackToNoOlderRelease: the newest release and numbers that no release has are refused.
func TestRollbackToNoOlderRelease(t *testing.T) {
	w := newWorld(t)
	w.week()
	w.publish()
	for n, want := range map[int]string{7: "release 7 does not exist (newest is 1)", 1: "release 1 is current already"} {
		_, err := w.publisher().Rollback(t.Context(), billing.DefaultTenant, n, "op")
		if !errors.Is(err, ErrUsage) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("error %v, want %v: %s", err, ErrUsage, want)
		}
	}
}

// TestRollbackSaysWhatARunSays: a change that no total shows, of the services or of the reasons for incompleteness,
// is in the ledger of the run that makes it and of the rollback that takes it back, as the same kind.
func TestRollbackSaysWhatARunSays(t *testing.T) {
	for _, c := range []struct {
		name    string
		before  []string // records of the first release
		change  string   // the record that makes the second
		kind    lake.ChangeKind
		reasons string // of the run
		back    string // of the rollback
	}{
		{"services", nil, event("a1-3", "a1", "storage", "2025-01-03", "3", 2), lake.ChangeRestated, "corrected", "rollback"},
		{
			"reasons", []string{event("bad", "a1", "compute", "2025-01-03", "-1", 2)},
			`{"event_id":"worse","account_id":"a1","service_name":"s","usage_date":"2025-01-03","cost_usd":"x","ingested_at":"2025-01-08T03:00:00Z"}`,
			lake.ChangeCompleteness, "quarantine:cost_invalid,quarantine:cost_negative", "rollback,quarantine:cost_negative",
		},
	} {
		w := newWorld(t)
		w.push(c.before...)
		w.week()
		w.publish()
		w.push(c.change)
		w.caughtUp()
		r := w.publish()
		if len(r.Rows) != 1 || r.Rows[0].Kind != c.kind || strings.Join(r.Rows[0].Reasons, ",") != c.reasons {
			t.Errorf("%s: the run's ledger %+v", c.name, r.Rows)
		}
		m, err := w.publisher().Rollback(t.Context(), billing.DefaultTenant, 1, "op")
		w.check(err)
		rows, err := w.series().ReadChanges(w.current(), m.Release)
		w.check(err)
		if len(rows) != 1 || rows[0].Kind != c.kind || rows[0].Account != "a1" || rows[0].Day != day("2025-01-03") ||
			strings.Join(rows[0].Reasons, ",") != c.back || rows[0].Old != usd("3") || rows[0].New != usd("3") || rows[0].Delta.Sign() != 0 {
			t.Errorf("%s: the rollback's ledger %+v", c.name, rows)
		}
	}
}

// TestRollbackStopsAtGates: a rollback is checked as a run is, by the sums of its files, by its ledger and by
// reading back what it wrote. The release that was newest stays, and no hold is left.
func TestRollbackStopsAtGates(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(w *world, fs *rotting)
		want string
	}{
		{"the target's totals", func(w *world, _ *rotting) {
			w.republish(edits{manifest: func(m *lake.Manifest) { entryOf(m, "2025-01-05").Total = usd("99") }})
			w.republish(edits{manifest: func(m *lake.Manifest) { entryOf(m, "2025-01-05").Total = usd("6.5") }})
		}, "check service_totals_match, ledger_reconciles; release 3 remains current: 2025-01-05: normalized_billing_events sums to 6.5, the day's total is 99"},
		{"the newest release's totals", func(w *world, _ *rotting) {
			w.republish(edits{})
			w.republish(edits{manifest: func(m *lake.Manifest) { entryOf(m, "2025-01-05").Total = usd("99") }})
		}, "check ledger_reconciles; release 3 remains current: the ledger's delta_usd sum to 0, the totals changed by -92.5"},
		{"a ledger that is not what was written", func(w *world, fs *rotting) {
			w.republish(edits{})
			w.push(event("a1-3", "a1", "compute", "2025-01-03", "4", 2))
			w.caughtUp()
			w.publish()
			fs.dataset = lake.Changes
		}, "check read_back; release 3 remains current: account_day_changes/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := &rotting{FS: disktest.Mem(vfs.NewMem())}
			w := newWorldOn(t, fs, "/lake")
			w.week()
			w.publish()
			c.edit(w, fs)
			before := w.current().Release
			_, err := w.publisher().Rollback(t.Context(), billing.DefaultTenant, 2, "op")
			if !errors.Is(err, ErrGate) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
			fs.dataset = ""
			hold, err := w.series().Hold()
			if w.check(err); hold != nil || w.current().Release != before {
				t.Errorf("hold %+v, release %d is the newest, before it was %d", hold, w.current().Release, before)
			}
		})
	}
}
