package oracle

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"daybook/internal/billing"
)

const (
	jan1   = 1735689600000 // 2025-01-01T00:00:00Z in milliseconds
	hourMS = 3600 * 1000
)

// log builds a model of one partition, a record a line, an hour apart.
func log(rules billing.Rules, values ...string) *Model {
	m := New(rules, "billing")
	for i, v := range values {
		m.Add(Record{Offset: int64(i), Timestamp: jan1 + int64(i)*hourMS, Value: []byte(v)})
	}
	return m
}

func event(id, account, service, day, cost, rest string) string {
	return fmt.Sprintf(`{"event_id":%q,"account_id":%q,"service_name":%q,"usage_date":%q,"cost_usd":%s%s}`,
		id, account, service, day, cost, rest)
}

func total(t *testing.T, cells map[Cell]Total, c Cell, usd string, events int64) {
	t.Helper()
	if c.Tenant == "" {
		c.Tenant = "default"
	}
	got, ok := cells[c]
	if !ok {
		t.Fatalf("%v is not there; there is %v", c, cells)
	}
	if Text(got.USD) != usd || got.Events != events {
		t.Errorf("%v = %s of %d events, want %s of %d", c, Text(got.USD), got.Events, usd, events)
	}
}

func TestSeedExample(t *testing.T) {
	b := log(billing.DefaultRules(),
		event("e1", "acct-1", "compute", "2025-01-01", "10.00", ""),
		event("e2", "acct-1", "storage", "2025-01-01", `"5"`, ""),
		event("e3", "acct-2", "compute", "2025-01-01", "7e0", ""),
		event("e1", "acct-1", "compute", "2025-01-01", "10.00", ""),
	).Tables()
	total(t, b.Accounts, Cell{Account: "acct-1", Day: "2025-01-01"}, "15", 2)
	total(t, b.Accounts, Cell{Account: "acct-2", Day: "2025-01-01"}, "7", 1)
	total(t, b.Services, Cell{Account: "acct-1", Day: "2025-01-01", Service: "storage"}, "5", 1)
	if len(b.Accounts) != 2 || len(b.Services) != 3 || len(b.Rejected) != 0 || len(b.Ties) != 0 {
		t.Errorf("%d account-days, %d service-days, %d rejected, %d ties", len(b.Accounts), len(b.Services), len(b.Rejected), len(b.Ties))
	}
}

func TestGreatestVersionWins(t *testing.T) {
	f := func(want string, values ...string) {
		t.Helper()
		b := log(billing.DefaultRules(), values...).Tables()
		w := b.Winners[EventKey{"default", "e"}]
		got := "deleted"
		if !w.Deleted {
			got = Text(w.Cost)
		}
		if got != want {
			t.Errorf("winner of %s is %s, want %s", strings.Join(values, " "), got, want)
		}
	}
	at := func(cost, at string, rest ...string) string {
		return event("e", "a", "s", "2025-01-01", cost, `,"ingested_at":"`+at+`"`+strings.Join(rest, ""))
	}
	early, late := "2025-01-01T00:00:00Z", "2025-01-01T01:00:00+00:00"
	f("2", at("1", early), at("2", late))
	f("2", at("2", late), at("1", early))
	f("1", at("1", late, `,"source_revision":2`), at("2", late, `,"source_revision":1`))
	f("2", at("1", early), at("2", early)) // a tie: the later record
	f("2", at("1", "2024-12-31"), at("2", "2024-12-31T00:00:00.000000001Z"))
	f("deleted", at("1", early), `{"event_id":"e","op":"delete","ingested_at":"`+late+`"}`)
	f("1", at("1", late), `{"event_id":"e","op":"delete","ingested_at":"`+early+`"}`)
	f("3", at("1", early), `{"event_id":"e","op":"delete","ingested_at":"`+early+`"}`, at("3", late))
	f("2", event("e", "a", "s", "2025-01-01", "1", ""), event("e", "a", "s", "2025-01-01", "2", "")) // the record's time
}

func TestMoveLeavesNothingBehind(t *testing.T) {
	b := log(billing.DefaultRules(),
		event("e", "a", "s", "2025-01-01", "1", ""),
		event("e", "b", "s", "2025-01-02", "1", ""),
	).Tables()
	if len(b.Accounts) != 1 {
		t.Errorf("account-days: %v", b.Accounts)
	}
	total(t, b.Accounts, Cell{Account: "b", Day: "2025-01-02"}, "1", 1)
}

func TestTies(t *testing.T) {
	at := `,"ingested_at":"2025-01-01T00:00:00Z"`
	f := func(want bool, values ...string) {
		t.Helper()
		b := log(billing.DefaultRules(), values...).Tables()
		if got := b.Ties[EventKey{"default", "e"}]; got != want {
			t.Errorf("tie of %s: %t, want %t", strings.Join(values, " "), got, want)
		}
	}
	f(false, event("e", "a", "s", "2025-01-01", "1", at), event("e", "a", "s", "2025-01-01", "1.0", at))
	f(true, event("e", "a", "s", "2025-01-01", "1", at), event("e", "a", "s", "2025-01-01", "2", at))
	// The second of three differs; the winner is like the first.
	f(true, event("e", "a", "s", "2025-01-01", "1", at), event("e", "a", "s", "2025-01-01", "2", at), event("e", "a", "s", "2025-01-01", "1", at))
	f(true, event("e", "a", "s", "2025-01-01", "1", at), `{"event_id":"e","op":"delete"`+at+`}`)
	// What tied is superseded by an untied one.
	f(false, event("e", "a", "s", "2025-01-01", "1", at), event("e", "a", "s", "2025-01-01", "2", at),
		event("e", "a", "s", "2025-01-01", "3", `,"ingested_at":"2025-01-01T00:00:01Z"`))
}

func TestRejectedRecordWithholdsUntilCorrected(t *testing.T) {
	bad := event("e", "a", "s", "2025-01-01", "-1", "")
	good := event("e", "a", "s", "2025-01-01", "1", "")
	cell := Cell{Tenant: "default", Account: "a", Day: "2025-01-01"}
	f := func(withheld int64, open bool, values ...string) {
		t.Helper()
		b := log(billing.DefaultRules(), values...).Tables()
		if got := b.Accounts[cell].Withheld; got != withheld {
			t.Errorf("withheld of %s: %d, want %d", strings.Join(values, " "), got, withheld)
		}
		if len(b.Rejected) != 1 || b.Rejected[0].Open != open {
			t.Errorf("rejected of %s: %+v", strings.Join(values, " "), b.Rejected)
		}
	}
	f(1, true, bad)
	f(0, false, bad, good)
	f(1, true, good, bad) // the rejected one is the newer
	f(0, false, bad, `{"event_id":"e","op":"delete"}`)
	b := log(billing.DefaultRules(), bad).Tables()
	total(t, b.Accounts, cell, "0", 0)
}

func TestNegativePolicy(t *testing.T) {
	f := func(policy billing.NegativePolicy, category string, accepted bool) {
		t.Helper()
		rules := billing.DefaultRules()
		rules.Negative = map[billing.TenantID]billing.NegativePolicy{"default": policy}
		b := log(rules, event("e", "a", "s", "2025-01-01", "-0.5", category)).Tables()
		if got := len(b.Rejected) == 0; got != accepted {
			t.Errorf("%s %s: accepted %t, want %t", policy, category, got, accepted)
		}
	}
	f("reject", `,"charge_category":"Credit"`, false)
	f("labelled", `,"charge_category":"Credit"`, true)
	f("labelled", `,"charge_category":"Adjustment"`, true)
	f("labelled", `,"charge_category":"Usage"`, false)
	f("labelled", "", false)
	f("allow", "", true)
}

func TestVerdicts(t *testing.T) {
	good := func(rest string) string { return event("e", "a", "s", "2025-01-01", "1", rest) }
	f := func(accepted bool, values ...string) {
		t.Helper()
		for _, v := range values {
			b := log(billing.DefaultRules(), v).Tables()
			if got := len(b.Rejected) == 0; got != accepted {
				t.Errorf("%s: accepted %t, want %t (%+v)", v, got, accepted, b.Rejected)
			}
		}
	}
	f(true,
		good(""), good(`,"region":null,"nested":{"a":[1,2,{"a":1}]}`), good(`,"tenant_id":"t_1.x-Y"`),
		good(`,"usage_start":"2025-01-01T23:59:59Z"`), good(`,"usage_start":"2025-01-02T01:00:00+02:00"`),
		good(`,"currency":"USD"`), good(`,"billing_period":"2025-02"`), good(`,"ingested_at":"2025-01-01T23:00:00Z"`),
		`{"event_id":"e","op":"delete"}`, good(`,"source_revision":20e-1`), good(`,"source_revision":9223372036854775807`),
		good(`,"ingested_at":"2025-01-01T02:00:00+02:00","ingestion_date":"2025-01-01"`),
		strings.Replace(good(""), "2025-01-01", "2025-01-08", 1),
	)
	f(false,
		"", "null", "1", `"x"`, "[]", "{}", good("")+" x", good(`,"event_id":"f"`), good(`,"x":{"a":1,"a":2}`),
		good(`,"x":"`+"\xff"+`"`), good(`,"x":"\ud800"`), good(`,"x":`+strings.Repeat("[", 64)+strings.Repeat("]", 64)),
		good(`,"tenant_id":".t"`), good(`,"tenant_id":""`), good(`,"currency":"NOK"`), good(`,"op":"replace"`),
		good(`,"source_revision":-1`), good(`,"source_revision":1.5`), good(`,"source_revision":1e19`), good(`,"source_revision":"1"`),
		good(`,"usage_start":"2025-01-02T00:00:00Z"`), good(`,"usage_start":"2025-01-01T00:00:00"`),
		good(`,"ingested_at":"2025-01-02T00:00:01Z"`), good(`,"ingested_at":"2025-01-01T01:00:00+02:00","ingestion_date":"2025-01-01"`),
		good(`,"ingested_at":"2025-01-01","ingestion_date":"2024-12-31"`), good(`,"billing_period":"2025-13"`), good(`,"charge_category":"Refund"`),
		event("", "a", "s", "2025-01-01", "1", ""), event("e\n", "a", "s", "2025-01-01", "1", ""),
		event(strings.Repeat("e", 257), "a", "s", "2025-01-01", "1", ""),
		event("e", "a", "s", "2025-02-30", "1", ""), event("e", "a", "s", "2025-01-09", "1", ""),
		event("e", "a", "s", "2025-01-01", `"1,0"`, ""), event("e", "a", "s", "2025-01-01", `"NaN"`, ""),
		event("e", "a", "s", "2025-01-01", "1e20", ""), event("e", "a", "s", "2025-01-01", "null", ""),
		strings.Replace(good(""), `"a"`, "1", 1), `{"op":"delete"}`,
	)
	m := New(billing.DefaultRules(), "billing")
	m.Add(Record{Null: true})
	m.Add(Record{Offset: 1, Timestamp: -1, Value: []byte(good(""))})
	m.Add(Record{Offset: 2, Timestamp: -1, Value: []byte(good(`,"ingested_at":"2025-01-01T00:00:00Z"`))})
	if got := len(m.Tables().Rejected); got != 3 {
		t.Errorf("a tombstone and two records without a timestamp: %d rejected", got)
	}
}

func TestBinding(t *testing.T) {
	rules := billing.DefaultRules()
	rules.Bindings = map[string]billing.TenantID{"billing": "acme"}
	b := log(rules, event("e", "a", "s", "2025-01-01", "1", ""), event("f", "a", "s", "2025-01-01", "1", `,"tenant_id":"other"`)).Tables()
	if len(b.Rejected) != 1 {
		t.Errorf("rejected: %+v", b.Rejected)
	}
	total(t, b.Accounts, Cell{Tenant: "acme", Account: "a", Day: "2025-01-01"}, "1", 1)
}

func TestSamePlaceCountsOnce(t *testing.T) {
	m := log(billing.DefaultRules(), event("e", "a", "s", "2025-01-01", "1", ""), "broken")
	m.Add(Record{Offset: 1, Timestamp: jan1 + hourMS, Value: []byte("broken")})
	if b := m.Tables(); b.Records != 2 || len(b.Rejected) != 1 {
		t.Errorf("%d records, %d rejected", b.Records, len(b.Rejected))
	}
}

func TestDollars(t *testing.T) {
	f := func(text, want string, rounded bool) {
		t.Helper()
		usd, r, ok := dollars(text)
		got := "refused"
		if ok {
			got = Text(usd)
		}
		if got != want || r != rounded {
			t.Errorf("dollars(%s) = %s, %t; want %s, %t", text, got, r, want, rounded)
		}
	}
	f("0", "0", false)
	f("-0", "0", false)
	f("1.50", "1.5", false)
	f("1.81E-8", "0.0000000181", false)
	f("0.0000000000000000005", "0", true)                      // half to even: down
	f("0.0000000000000000015", "0.000000000000000002", true)   // up
	f("-0.0000000000000000025", "-0.000000000000000002", true) // down
	f("0.00000000000000000050000001", "0.000000000000000001", true)
	f("99999999999999999999.999999999999999999", "99999999999999999999.999999999999999999", false)
	f("99999999999999999999.9999999999999999995", "refused", false)
	f("100000000000000000000", "refused", false)
	f("1e-999999999999999999999999", "0", true)
	f("1e999999999999999999999999", "refused", false)
	f("0e999999999999999999999999", "0", false)
	f("01", "refused", false)
	f("+1", "refused", false)
	f(".5", "refused", false)
	f(" 1", "refused", false)
	f("0x10", "refused", false)
	if got := Text(big.NewRat(1, 8)); got != "0.125" {
		t.Errorf("1/8 = %s", got)
	}
}
