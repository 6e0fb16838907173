package audit

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"daybook/internal/billing"
	"daybook/internal/decode"
)

// fataler is what a fuzz target and a property share.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// arrival is when the records of these tests arrive.
var arrival = time.Date(2025, 1, 8, 12, 0, 0, 0, time.UTC).UnixMilli()

// agree holds the auditor's verdict on a record against the decoder's: accepted or not, and every word of it.
func agree(t fataler, rules billing.Rules, topic string, r Record) {
	t.Helper()
	var want billing.Event
	_, no := decode.New(rules).Decode(decode.Record{Topic: topic, Source: r.Source, Null: r.Null, Value: r.Value}, &want)
	j := &judge{rules: rules, bound: map[billing.TopicOrdinal]string{0: string(rules.Bindings[topic])}}
	got := j.judge(r)
	if (got.fault == "") != (no == nil) {
		t.Fatalf("%q: the auditor says %q, the decoder %v", r.Value, got.fault, no)
	}
	tenant, id, account, version := want.Tenant, want.ID, want.Account, want.Version
	day := ""
	if no != nil {
		tenant, id, account, version = no.Tenant, no.Event, no.Account, no.Version
		if no.HasDay {
			day = no.Day.String()
		}
	} else if want.Op == billing.Upsert {
		day = want.Day.String()
	}
	if got.tenant != string(tenant) || got.id != string(id) || got.account != string(account) || got.day != day {
		t.Fatalf("%q: the auditor reads %q %q %q %q, the decoder %q %q %q %q (%v)", r.Value, got.tenant, got.id, got.account, got.day, tenant, id, account, day, no)
	}
	if got.ingestedAt != int64(version.IngestedAt) || got.revision != version.SourceRevision || got.source != version.Source {
		t.Fatalf("%q: the auditor's version is %d %d %v, the decoder's %v", r.Value, got.ingestedAt, got.revision, got.source, version)
	}
	if no != nil {
		return
	}
	if got.deleted != (want.Op == billing.Delete) {
		t.Fatalf("%q: deleted %t", r.Value, got.deleted)
	}
	if got.deleted {
		return
	}
	for column, pair := range map[string][2]string{
		"service":  {got.service, string(want.Service)},
		"region":   {got.region, string(want.Region)},
		"pricing":  {got.pricing, string(want.PricingModel)},
		"category": {got.category, string(want.Category)},
		"period":   {got.period, string(want.Period)},
		"cost":     {dollars(got.cost), want.Cost.String()},
		"attrs":    {got.attributes, want.Attributes},
		"digest":   {hexDigest(got.digest(got.tenant)), fmt.Sprintf("%x", want.Digest())},
	} {
		if pair[0] != pair[1] {
			t.Fatalf("%q: %s is %q to the auditor, %q to the decoder", r.Value, column, pair[0], pair[1])
		}
	}
}

// rules are some that tell policies and bindings apart.
func rules() []billing.Rules {
	reject, labelled, allow, bound := billing.DefaultRules(), billing.DefaultRules(), billing.DefaultRules(), billing.DefaultRules()
	labelled.DefaultNegative = billing.LabelledNegative
	allow.Negative = map[billing.TenantID]billing.NegativePolicy{"default": billing.AllowNegative}
	bound.Bindings = map[string]billing.TenantID{"billing": "acme"}
	bound.MaxRecordBytes = 300
	return []billing.Rules{reject, labelled, allow, bound}
}

func FuzzJudge(f *testing.F) {
	for _, v := range []string{
		`{"event_id":"a","account_id":"1","service_name":"S3","usage_date":"2025-01-03","cost_usd":1}`,
		`{"event_id":"a","account_id":"1","service_name":"S3","usage_start":"2025-01-03T23:30:00.5-02:00","cost_usd":"1E-3","tags":{"a":[1,null]}}`,
		`{"event_id":"a","op":"delete","ingested_at":"2025-01-10T02:10:00Z"}`, `{"event_id":"a","event_id":"b"}x`, "\xff{", `{"a":"\ud800"}`, `null`,
		"\"\x87\"", // found by the fuzzer: no object, and no text
	} {
		f.Add([]byte(v))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		for _, r := range rules() {
			agree(t, r, "billing", Record{Source: billing.Source{Offset: 7, RecordTime: arrival}, Value: value})
		}
	})
}

// Objects of odd members, cut and glued: what a generator finds faster than a fuzzer.
func TestJudgeAgreesWithDecode(t *testing.T) {
	t.Parallel()
	names := []string{
		"event_id", "account_id", "service_name", "usage_date", "usage_start", "cost_usd", "ingested_at", "ingestion_date", "source_revision",
		"region", "pricing_model", "tenant_id", "charge_category", "billing_period", "currency", "op", "x", "y", `\u0078`, `\ud800`, "Event_ID",
		`event\u005fid`, "\xff", `z\"\\\/\b\f\n\r\t\u0001\u007f` + "\u2028", "é",
	}
	values := []string{
		`"a"`, `"0042"`, `""`, `null`, `7`, `-7.50`, `"-7.50"`, `"1e3"`, `1.0000000000000000005`, `"2025-01-01"`, `"2025-01-02T03:04:05Z"`,
		`"2025-01-01T23:00:00-02:00"`, `"2025-01-02t03:04:05.123456789012z"`, `"2025-01-01T00:00:60Z"`, `"2025-01-01T24:00:00Z"`, `"2025-01-01T1:00:00.5Z"`,
		`"2025-01-01T00:00:00+-1:00"`, `"2025-01-01T00:00:00+01:0"`, `"2025-01-01T00:00:00.Z"`, `"2025-01-01T00:00:00,5Z"`, `"1969-12-31T23:30:00-01:00"`,
		`"2262-04-11T23:47:16.854775807Z"`, `"2262-04-11T23:47:16.854775808Z"`, `"2025-02-30"`, `"0000-01-01"`, `"2025-01-20"`, `"2025-01-09T12:00:00.001Z"`,
		`"USD"`, `"delete"`, `"upsert"`, `"Credit"`, `"2025-01"`, `"2025-13"`, `"0000-01"`, `true`, `{"a":[1,{"b":"\u00e9"}]}`, `{"a":1,"a":2}`,
		`{"a":1,"\u0061":2}`, `[]`, `"\ud83d\ude00"`, `"\udc00"`, `"\ud800\u0041"`, `"\ufffd"`, `0`, `-0`, `01`, `1.`, `1e`, `9223372036854775807`, `9223372036854775808`,
		`92233720368547758070e-1`, `99999999999999999999.9999999999999999994`, `99999999999999999999.9999999999999999995`, `1e999999999999999999999`,
		`0.0000000000000000005`, `0.0000000000000000015`, `1e-18446744073709551616`, `"acme"`, `".x"`, `"` + "\x7f" + `"`, `"\u0085"`, "\"\xff\"", "\"a\nb\"", `tru`,
	}
	rapid.Check(t, func(t *rapid.T) {
		members := map[string]string{
			"event_id": `"e"`, "account_id": `"1"`, "service_name": `"S3"`, "usage_date": `"2025-01-03"`, "cost_usd": `1`,
		}
		var text string
		add := func(name, value string) {
			if text != "" {
				text += ","
			}
			text += `"` + name + `":` + value
		}
		for range rapid.IntRange(0, 5).Draw(t, "changes") {
			name, value := rapid.SampledFrom(names).Draw(t, "name"), rapid.SampledFrom(values).Draw(t, "value")
			if rapid.IntRange(0, 5).Draw(t, "twice") == 0 {
				add(name, value)
			} else {
				members[name] = value
			}
		}
		for _, name := range slices.Sorted(maps.Keys(members)) {
			add(name, members[name])
		}
		value := "{" + text + "}"
		switch rapid.IntRange(0, 9).Draw(t, "twist") {
		case 0:
			value = value[:rapid.IntRange(0, len(value)).Draw(t, "cut")] + rapid.SampledFrom([]string{"", "}", " ", "{}", "\xff"}).Draw(t, "tail")
		case 1:
			value = rapid.SampledFrom([]string{"\xEF\xBB\xBF", " ", "\n", "x", "[", "\xFE\xFF"}).Draw(t, "head") + value
		}
		r := Record{
			Source: billing.Source{Partition: 3, Offset: 7, RecordTime: rapid.SampledFrom([]int64{arrival, arrival, arrival, -1, 0, 1 << 60}).Draw(t, "time")},
			Null:   rapid.IntRange(0, 50).Draw(t, "null") == 0, Value: []byte(value),
		}
		agree(t, rapid.SampledFrom(rules()).Draw(t, "rules"), "billing", r)
	})
}

// Depths around the limit, of objects and arrays.
func TestJudgeAgreesOnDepth(t *testing.T) {
	t.Parallel()
	for depth := 60; depth <= 70; depth++ {
		for _, brackets := range [][2]string{{`[`, `]`}, {`{"a":`, `}`}} {
			inner := "1"
			for range depth {
				inner = brackets[0] + inner + brackets[1]
			}
			value := `{"event_id":"e","account_id":"1","service_name":"S3","usage_date":"2025-01-03","cost_usd":1,"x":` + inner + `}`
			agree(t, billing.DefaultRules(), "billing", Record{Source: billing.Source{RecordTime: arrival}, Value: []byte(value)})
		}
	}
}
