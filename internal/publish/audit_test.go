package publish

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/internal/audit"
	"daybook/internal/billing"
	"daybook/internal/decode"
	"daybook/internal/lake"
	"daybook/internal/state"
	"daybook/internal/test/oracle"
)

// records gives the auditor the whole log, also records that the state has not read. change may edit each record.
func (w *world) records(change func(*audit.Record)) audit.Reader {
	return func(context.Context, audit.Input) iter.Seq2[audit.Record, error] {
		return func(yield func(audit.Record, error) bool) {
			for _, partition := range w.log {
				for _, r := range partition {
					rec := audit.Record{
						Source: billing.Source{Partition: r.Partition, Offset: r.Offset, RecordTime: r.Timestamp}, Value: r.Value, Null: r.Null,
					}
					change(&rec)
					if !yield(rec, nil) {
						return
					}
				}
			}
		}
	}
}

// audit audits a release (0: the newest) of the default tenant, with so little memory that it sorts in files.
func (w *world) audit(n int, change func(*audit.Record), explain ...audit.AccountDay) *audit.Report {
	w.t.Helper()
	cfg := audit.Config{MemoryBytes: 256 << 20, Limit: 1000, IdleTimeout: time.Minute}
	cfg.Release, cfg.Temp, cfg.MemoryBytes, cfg.Explain = n, w.t.TempDir(), 2<<10, explain
	r, err := audit.New(cfg, billing.DefaultTenant, audit.Deps{Lake: w.lake, Read: w.records(change)}).Audit(w.t.Context())
	w.check(err)
	return r
}

func asIs(*audit.Record) {}

// lines are the differences of a report as text.
func lines(r *audit.Report) []string {
	out := []string{}
	for _, d := range r.Differences {
		out = append(out, strings.Join([]string{d.Dataset, d.Day, d.Account, d.Service + d.Event, d.What, d.Column, d.Audited, d.Released}, " "))
	}
	return out
}

// audited has the auditor agree with a release.
func (w *world) audited(n int) *audit.Report {
	w.t.Helper()
	r := w.audit(n, asIs)
	if r.Differing != 0 || r.Err() != nil {
		w.t.Fatalf("release %d: the auditor finds\n%s", r.Release, strings.Join(lines(r), "\n"))
	}
	return r
}

// TestAuditFollowsDecisions: rules, resolved quarantine, gaps, rollbacks and backfills are in the manifest, and with
// them the auditor computes each release from the log.
func TestAuditFollowsDecisions(t *testing.T) {
	w := newWorld(t)
	w.cfg.AllowEmptyDays = true
	w.week()
	w.push(
		event("bad", "a1", "compute", "2025-01-02", "-1", 1), `{"event_id":"cut","account_id":"a2","usage_date":"2025-01-03","tenant_id":"default"`,
		event("late", "a1", "compute", "2025-01-04", "-2", 5), event("late", "a1", "compute", "2025-01-04", "2", 4),
		event("later", "a1", "compute", "2025-01-04", "-3", 4), event("later", "a1", "compute", "2025-01-04", "3", 5),
		deletion("e3", 2),
	)
	w.caughtUp()
	w.publish()
	if r := w.audited(0); r.Withheld != 3 || r.AccountDays != 13 || r.Events != 16 {
		t.Fatalf("%+v", r)
	}

	// An operator settles a record, and a gap is accepted.
	offset := int64(15 + 0)
	_, err := w.store.Decide(state.Decision{Kind: state.QuarantineSettled, Who: "op", Why: "known", Records: []billing.Source{{Offset: offset}}})
	w.check(err)
	w.publish()
	if r := w.audited(0); r.Withheld != 2 {
		t.Fatalf("%+v", r)
	}
	w.audited(1)

	gap := w.next[0]
	w.log[0] = append(w.log[0], oracle.Record{Offset: gap, Timestamp: w.now.UnixMilli(), Value: []byte(event("gone", "a1", "compute", "2025-01-05", "9", 1))})
	_, err = w.store.Decide(state.Decision{Kind: state.GapAccepted, Who: "op", Why: "lost", From: gap, Next: gap + 1, FromDay: "2025-01-04", ToDay: "2025-01-05"})
	w.check(err)
	w.next[0]++
	w.push(event("e9", "a3", "compute", "2025-01-05", "1", 1))
	w.caughtUp()
	w.publish()
	w.audited(0)

	// What is corrected outside a backfill's window is published with it.
	w.push(event("e1", "a1", "compute", "2025-01-01", "11", 6), event("a1-6", "a1", "compute", "2025-01-02", "6", 6), event("new", "a4", "compute", "2025-01-07", "1", 6))
	w.caughtUp()
	_, err = w.publisher().Backfill(t.Context(), Window{From: day("2025-01-05"), To: day("2025-01-07")}, false)
	w.check(err)
	if m := w.current(); m.Days[0].Total.String() != "16" || m.Backfill == nil {
		t.Fatalf("days %+v", m.Days)
	}
	w.audited(0)

	_, err = w.publisher().Rollback(t.Context(), billing.DefaultTenant, 2, "op")
	w.check(err)
	w.audited(0)
	_, err = w.publisher().Rollback(t.Context(), billing.DefaultTenant, 4, "op")
	w.check(err)
	w.audited(0)
	_, err = w.publisher().Resume(billing.DefaultTenant)
	w.check(err)
	w.nothing()

	// Under looser rules, rejected records count.
	loose := w.rules
	loose.Negative = map[billing.TenantID]billing.NegativePolicy{billing.DefaultTenant: billing.AllowNegative, "secret": billing.AllowNegative}
	w.check(retry(w, loose))
	w.publish()
	if r := w.audited(0); r.Withheld != 1 {
		t.Fatalf("%+v", r)
	}
	w.audited(3)
	if m := w.current(); m.Rules.Negative != nil || m.Rules.DefaultNegative != billing.AllowNegative {
		t.Fatalf("the manifest names other tenants' rules: %+v", m.Rules)
	}
}

func retry(w *world, rules billing.Rules) error {
	w.rules = rules
	w.decoder = decode.New(rules)
	_, err := w.store.Retry(rules, state.Decision{Who: "op", Why: "credits"}, func(q *state.Quarantined) state.Record {
		rec := state.Record{Size: q.Size, Value: q.Value}
		rec.Rounded, rec.Rejection = w.decoder.Decode(decode.Record{Topic: topicName, Source: q.Source, Value: q.Value}, &rec.Event)
		return rec
	})
	return err
}

// TestAuditNamesWhatDiffers changes one record of the log and expects every cell that depends on it, and no other.
func TestAuditNamesWhatDiffers(t *testing.T) {
	w := newWorld(t)
	w.week()
	w.push(event("bad", "a2", "compute", "2025-01-07", "-1", 1))
	w.caughtUp()
	w.publish()
	w.push(event("unread", "a1", "compute", "2025-01-01", "1", 1)) // after the release
	w.audited(0)

	replace := func(id, from, to string) func(*audit.Record) {
		return func(r *audit.Record) {
			if strings.Contains(string(r.Value), `"event_id":"`+id+`"`) {
				changed := strings.Replace(string(r.Value), from, to, 1)
				if changed == string(r.Value) {
					t.Fatalf("%s: nothing changed", r.Value)
				}
				r.Value = []byte(changed)
			}
		}
	}
	for _, c := range []struct {
		name   string
		change func(*audit.Record)
		want   []string // without the digest
	}{
		{"money", replace("e1", "10.0", "10.000000000000000001"), []string{
			"normalized_billing_events 2025-01-01 a1 e1 differs cost_usd 10.000000000000000001 10",
			"daily_account_cost 2025-01-01 a1  differs total_cost_usd 15.000000000000000001 15",
			"account_service_day_cost 2025-01-01 a1 compute differs total_cost_usd 10.000000000000000001 10",
			"manifest 2025-01-01   differs total_usd 22.000000000000000001 22",
		}},
		{"service", replace("e2", "storage", "archive"), []string{
			"normalized_billing_events 2025-01-01 a1 e2 differs service_name archive storage",
			"account_service_day_cost 2025-01-01 a1 storage extra   5 of 1 events",
			"account_service_day_cost 2025-01-01 a1 archive missing  5 of 1 events ",
		}},
		{"day", replace("a2-2", "2025-01-02", "2025-01-03"), []string{
			"normalized_billing_events 2025-01-02 a2 a2-2 extra   1.5",
			"daily_account_cost 2025-01-02 a2  extra   1.5 of 1 events",
			"account_service_day_cost 2025-01-02 a2 storage extra   1.5 of 1 events",
			"manifest 2025-01-02   differs account_days 1 2", "manifest 2025-01-02   differs events 1 2", "manifest 2025-01-02   differs total_usd 2 3.5",
			"normalized_billing_events 2025-01-03 a2 a2-2 missing  1.5 ",
			"daily_account_cost 2025-01-03 a2  differs total_cost_usd 3 1.5", "daily_account_cost 2025-01-03 a2  differs event_count 2 1",
			"account_service_day_cost 2025-01-03 a2 storage differs total_cost_usd 3 1.5", "account_service_day_cost 2025-01-03 a2 storage differs event_count 2 1",
			"manifest 2025-01-03   differs events 3 2", "manifest 2025-01-03   differs total_usd 6 4.5",
		}},
		{"account", replace("a1-7", `"a1"`, `"a3"`), []string{
			"normalized_billing_events 2025-01-07 a1 a1-7 extra   7", "daily_account_cost 2025-01-07 a1  extra   7 of 1 events",
			"account_service_day_cost 2025-01-07 a1 compute extra   7 of 1 events",
			"normalized_billing_events 2025-01-07 a3 a1-7 missing  7 ", "daily_account_cost 2025-01-07 a3  missing  7 of 1 events ",
			"account_service_day_cost 2025-01-07 a3 compute missing  7 of 1 events ",
		}},
		{"quarantine", replace("bad", "-1", `"oops"`), nil},
		{"quarantine of another account", replace("bad", `"a2"`, `"a1"`), []string{
			"daily_account_cost 2025-01-07 a1  differs data_complete false true", "daily_account_cost 2025-01-07 a2  differs data_complete true false",
		}},
		{"a new day", replace("e3", "2025-01-01", "2024-12-31"), []string{
			"daily_account_cost 2024-12-31 a2  missing  7 of 1 events ", "account_service_day_cost 2024-12-31 a2 compute missing  7 of 1 events ",
			"normalized_billing_events 2024-12-31 a2 e3 missing  7 ",
			"normalized_billing_events 2025-01-01 a2 e3 extra   7", "daily_account_cost 2025-01-01 a2  extra   7 of 1 events",
			"account_service_day_cost 2025-01-01 a2 compute extra   7 of 1 events",
			"manifest 2025-01-01   differs account_days 1 2", "manifest 2025-01-01   differs events 2 3", "manifest 2025-01-01   differs total_usd 15 22",
		}},
		{"attributes", replace("e1", `"cost_usd"`, `"team":"x","cost_usd"`), []string{
			`normalized_billing_events 2025-01-01 a1 e1 differs attributes {"team":"x"} `,
		}},
	} {
		r := w.audit(0, c.change)
		got := slices.DeleteFunc(lines(r), func(line string) bool { return strings.Contains(line, " differs digest ") })
		digests := len(r.Differences) - len(got)
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) || (len(c.want) > 0) != errors.Is(r.Err(), audit.ErrDifference) {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
		events := slices.ContainsFunc(got, func(line string) bool { return strings.HasPrefix(line, "normalized") })
		if events != (digests > 0) {
			t.Errorf("%s: %d digests differ", c.name, digests)
		}
	}
}

// TestAuditExplains lists the records behind an account-day.
func TestAuditExplains(t *testing.T) {
	w := newWorld(t)
	w.week()
	w.push(event("e1", "a1", "compute", "2025-01-01", "12", 3), event("bad", "a1", "compute", "2025-01-01", "-1", 1))
	w.caughtUp()
	w.publish()
	r := w.audit(0, asIs, audit.AccountDay{Day: "2025-01-01", Account: "a1"}, audit.AccountDay{Day: "2025-01-01", Account: "unknown"})
	if len(r.Explained) != 2 {
		t.Fatalf("%+v", r.Explained)
	}
	got := fmt.Sprintf("%+v", r.Explained[0])
	want := "{AccountDay:{Day:2025-01-01 Account:a1} Total:17 Complete:false Events:[" +
		"{Event:e1 Service:compute Cost:12 IngestedAt:2025-01-08T03:00:00Z Topic:billing Partition:0 Offset:15 Fault:} " +
		"{Event:e2 Service:storage Cost:5 IngestedAt:2025-01-08T01:00:00Z Topic:billing Partition:0 Offset:1 Fault:}] " +
		"Withheld:[{Event:bad Service:compute Cost: IngestedAt:2025-01-08T01:00:00Z Topic:billing Partition:0 Offset:16 Fault:negative cost}]}"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if x := r.Explained[1]; x.Total != "0" || len(x.Events) != 0 {
		t.Errorf("%+v", x)
	}
}

// TestAuditNeedsItsBasis: an audit without a release, and a cancelled one, fail.
func TestAuditNeedsItsBasis(t *testing.T) {
	w := newWorld(t)
	auditor := audit.New(audit.Config{MemoryBytes: 256 << 20, Limit: 1000, IdleTimeout: time.Minute}, billing.DefaultTenant, audit.Deps{Lake: w.lake, Read: w.records(asIs)})
	if _, err := auditor.Audit(t.Context()); !errors.Is(err, lake.ErrNoRelease) {
		t.Errorf("no release: %v", err)
	}
	w.week()
	w.publish()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := auditor.Audit(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestVerifyReadsADayOfSeveralFiles: a day's files ascend by account, not by name: those that a correction
// wrote again are named after a later release.
func TestVerifyReadsADayOfSeveralFiles(t *testing.T) {
	w := newWorld(t)
	w.cfg.RowsPerFile = 2
	var values []string
	for i := range 30 {
		values = append(values, event(fmt.Sprintf("e%02d", i), fmt.Sprintf("a%02d", i), "compute", "2025-01-01", "1", 1))
	}
	w.push(values...)
	w.caughtUp()
	w.publish()
	w.push(event("e03", "a03", "compute", "2025-01-01", "2", 2))
	w.caughtUp()
	w.publish()
	verified, err := w.publisher().Verify(t.Context())
	if err != nil || verified[0].Events != 30 {
		t.Fatalf("%+v, %v", verified, err)
	}
	w.audited(0)
}
