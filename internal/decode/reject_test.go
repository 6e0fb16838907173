package decode

import (
	"strings"
	"testing"
	"time"

	"daybook/internal/billing"
)

func nested(depth int) string {
	return strings.Repeat(`[`, depth) + strings.Repeat(`]`, depth)
}

// rejected are records that are not events, at least one for each reason that depends on the value alone. The
// schema is tested with them too.
var rejected = []struct {
	reason billing.Reason
	value  string
}{
	{billing.JSONByteOrderMark, "\xEF\xBB\xBF" + with()},
	{billing.JSONByteOrderMark, "\xFF\xFE{\x00}\x00"},
	{billing.JSONNotObject, `[]`},
	{billing.JSONNotObject, ` "event" `},
	{billing.JSONNotObject, `null`},
	{billing.JSONNotObject, `12 {}`},
	{billing.JSONSyntax, ``},
	{billing.JSONSyntax, ` `},
	{billing.JSONSyntax, `event_id=e1`},
	{billing.JSONSyntax, `{"event_id":"e1"`},
	{billing.JSONSyntax, `{"event_id":"e1",}`},
	{billing.JSONSyntax, `{"event_id":'e1'}`},
	{billing.JSONSyntax, `{"event_id":"a` + "\x01" + `"}`},
	{billing.JSONSyntax, `{"event_id":"\x"}`},
	{billing.JSONSyntax, `{event_id:"e1"}`},
	{billing.JSONSyntax, with("cost_usd", `01`)},
	{billing.JSONSyntax, with("cost_usd", `NaN`)},
	{billing.JSONSyntax, with("x", `+1`)},
	{billing.JSONSyntax, "\x00"},
	{billing.JSONInvalidUTF8, with("x", "\"\xFF\"")},
	{billing.JSONInvalidUTF8, with("x", "\"\xC0\x80\"")},
	{billing.JSONInvalidUTF8, with("x", `"\ud800"`)},
	{billing.JSONInvalidUTF8, with("x", `["\udc00\ud800"]`)},
	{billing.JSONInvalidUTF8, with("\xFF", `1`)},
	{billing.JSONDuplicateKey, with("a", `1,"a":1`)},
	{billing.JSONDuplicateKey, with("a", `1,"\u0061":1`)},
	{billing.JSONDuplicateKey, with("x", `{"k":[{"a":1,"a":2}]}`)},
	{billing.JSONTooDeep, with("x", nested(MaxDepth))},
	{billing.JSONTooDeep, with("x", nested(20000))},
	{billing.JSONTooDeep, with("x", strings.Repeat(`{"a":`, MaxDepth)+`1`+strings.Repeat(`}`, MaxDepth))},
	{billing.JSONTrailingData, with() + `,`},
	{billing.JSONTrailingData, with() + with()},
	{billing.JSONTrailingData, with() + "\x00"},
	{billing.TenantIDInvalid, with("tenant_id", `""`)},
	{billing.TenantIDInvalid, with("tenant_id", `".."`)},
	{billing.TenantIDInvalid, with("tenant_id", `"a/b"`)},
	{billing.TenantIDInvalid, with("tenant_id", `7`)},
	{billing.TenantIDInvalid, with("tenant_id", `"`+strings.Repeat("x", 65)+`"`)},
	{billing.EventIDMissing, with("event_id", ``)},
	{billing.EventIDMissing, with("event_id", `null`)},
	{billing.EventIDMissing, `{}`},
	{billing.EventIDInvalid, with("event_id", `""`)},
	{billing.EventIDInvalid, with("event_id", `17`)},
	{billing.EventIDInvalid, with("event_id", `"a\nb"`)},
	{billing.EventIDInvalid, with("event_id", `"a\u007f"`)},
	{billing.EventIDInvalid, with("event_id", `"a\u0085b"`)},
	{billing.EventIDInvalid, with("event_id", `"`+strings.Repeat("x", 257)+`"`)},
	{billing.OpInvalid, with("op", `"DELETE"`)},
	{billing.OpInvalid, with("op", `""`)},
	{billing.OpInvalid, with("op", `true`)},
	{billing.IngestedAtInvalid, with("ingested_at", `"yesterday"`)},
	{billing.IngestedAtInvalid, with("ingested_at", `""`)},
	{billing.IngestedAtInvalid, with("ingested_at", `1735700000`)},
	{billing.IngestedAtInvalid, with("ingested_at", `"2025-01-01T00:00:00"`)},
	{billing.IngestedAtInvalid, with("ingestion_date", `"1969-12-31"`)},
	{billing.IngestedAtConflict, with("ingested_at", `"2025-01-02T00:00:00Z"`, "ingestion_date", `"2025-01-01"`)},
	{billing.IngestedAtConflict, with("ingested_at", `"2025-01-02T00:00:00Z"`, "ingestion_date", `"2025-01-02T00:00:01Z"`)},
	{billing.IngestedAtFuture, with("ingested_at", `"2025-01-11T12:00:00.000000001Z"`)},
	{billing.IngestedAtFuture, with("ingestion_date", `"2025-01-12"`)},
	{billing.SourceRevisionInvalid, with("source_revision", `-1`)},
	{billing.SourceRevisionInvalid, with("source_revision", `"1"`)},
	{billing.SourceRevisionInvalid, with("source_revision", `1.5`)},
	{billing.SourceRevisionInvalid, with("source_revision", `9223372036854775808`)},
	{billing.AccountIDMissing, with("account_id", ``)},
	{billing.AccountIDNumber, with("account_id", `42`)},
	{billing.AccountIDInvalid, with("account_id", `""`)},
	{billing.AccountIDInvalid, with("account_id", `{}`)},
	{billing.AccountIDInvalid, with("account_id", `"`+strings.Repeat("é", 129)+`"`)},
	{billing.ServiceNameMissing, with("service_name", `null`)},
	{billing.ServiceNameInvalid, with("service_name", `""`)},
	{billing.ServiceNameInvalid, with("service_name", `["EC2"]`)},
	{billing.UsageDateMissing, with("usage_date", ``)},
	{billing.UsageDateInvalid, with("usage_date", `"2025-02-29"`)},
	{billing.UsageDateInvalid, with("usage_date", `"01/02/2025"`)},
	{billing.UsageDateInvalid, with("usage_date", `20250101`)},
	{billing.UsageDateInvalid, with("usage_date", `"2025-01-01 00:00:00Z"`)},
	{billing.UsageDateInvalid, with("usage_date", `"2025-01-01T24:00:00Z"`)},
	{billing.UsageDateInvalid, with("usage_start", `"2025-01-01T00:00:60Z"`)},
	{billing.UsageDateInvalid, with("usage_start", `"2025-01-01T00:00:00.Z"`)},
	{billing.UsageDateConflict, with("usage_start", `"2025-01-01T23:00:00-02:00"`)},
	{billing.UsageDateFuture, with("usage_date", `"2025-01-18"`)},
	{billing.CurrencyUnsupported, with("currency", `"EUR"`)},
	{billing.CurrencyUnsupported, with("currency", `"usd"`)},
	{billing.CurrencyUnsupported, with("currency", `840`)},
	{billing.CostMissing, with("cost_usd", ``)},
	{billing.CostMissing, with("cost_usd", `null`)},
	{billing.CostInvalid, with("cost_usd", `""`)},
	{billing.CostInvalid, with("cost_usd", `"1,5"`)},
	{billing.CostInvalid, with("cost_usd", `" 1"`)},
	{billing.CostInvalid, with("cost_usd", `"+1"`)},
	{billing.CostInvalid, with("cost_usd", `"1e"`)},
	{billing.CostInvalid, with("cost_usd", `"NaN"`)},
	{billing.CostInvalid, with("cost_usd", `true`)},
	{billing.CostInvalid, with("cost_usd", `[1]`)},
	{billing.CostOutOfRange, with("cost_usd", `100000000000000000000`)},
	{billing.CostOutOfRange, with("cost_usd", `"-1e999999999999"`)},
	{billing.ChargeCategoryInvalid, with("charge_category", `"usage"`)},
	{billing.ChargeCategoryInvalid, with("charge_category", `""`)},
	{billing.ChargeCategoryInvalid, with("charge_category", `1`)},
	{billing.CostNegative, with("cost_usd", `-0.01`)},
	{billing.CostNegative, with("cost_usd", `"-1e-18"`, "charge_category", `"Credit"`)},
	{billing.BillingPeriodInvalid, with("billing_period", `"2025-13"`)},
	{billing.BillingPeriodInvalid, with("billing_period", `"2025-1"`)},
	{billing.BillingPeriodInvalid, with("billing_period", `"2025-01-01"`)},
	{billing.BillingPeriodInvalid, with("billing_period", `202501`)},
	{billing.RegionInvalid, with("region", `7`)},
	{billing.RegionInvalid, with("region", `"`+strings.Repeat("x", 257)+`"`)},
	{billing.PricingModelInvalid, with("pricing_model", `false`)},
}

func TestRejected(t *testing.T) {
	t.Parallel()
	d := New(billing.DefaultRules())
	for _, c := range rejected {
		var e billing.Event
		_, rej := d.Decode(record(c.value), &e)
		switch {
		case rej == nil:
			t.Errorf("%.200q is accepted, want %s", c.value, c.reason)
		case rej.Reason != c.reason:
			t.Errorf("%.200q: %v, want %s", c.value, rej, c.reason)
		case rej.Detail == "" || len(rej.Detail) > 4*maxQuoted*2+100 || strings.ContainsFunc(rej.Detail, func(r rune) bool { return r < ' ' || r > '~' }):
			t.Errorf("%.200q: a detail is a short line of ASCII: %q", c.value, rej.Detail)
		case e != billing.Event{}:
			t.Errorf("%.200q: a rejection filled the event: %+v", c.value, e)
		}
	}
}

// Some verdicts depend on the rules, or on other parts of the record than its value.
func TestRejectedByRules(t *testing.T) {
	t.Parallel()
	rules := billing.DefaultRules()
	rules.MaxRecordBytes = 200
	rules.Bindings = map[string]billing.TenantID{"acme-bills": "acme"}
	rules.DefaultNegative = billing.LabelledNegative
	rules.Negative = map[billing.TenantID]billing.NegativePolicy{"strict": billing.RejectNegative, "loose": billing.AllowNegative}
	plain := record(with())
	change := func(f func(*Record)) Record { r := plain; f(&r); return r }
	value := func(changes ...string) Record { return record(with(changes...)) }
	for _, c := range []struct {
		name string
		rec  Record
		want billing.Reason
	}{
		{"tombstone", change(func(r *Record) { r.Null, r.Value = true, nil }), billing.RecordNull},
		{"at the limit", value("x", `"`+strings.Repeat("x", 200-len(with("x", `""`)))+`"`), ""},
		{"over the limit", value("x", `"`+strings.Repeat("x", 201-len(with("x", `""`)))+`"`), billing.RecordTooLarge},
		{"no timestamp", change(func(r *Record) { r.Source.RecordTime = -1 }), billing.RecordTimestampMissing},
		{"a timestamp of the year 3000", change(func(r *Record) { r.Source.RecordTime = 32503680000000 }), billing.RecordTimestampMissing},
		{"the greatest timestamp", change(func(r *Record) { r.Source.RecordTime = 1<<63 - 1 }), billing.RecordTimestampMissing},
		{"bound topic, no tenant", change(func(r *Record) { r.Topic = "acme-bills" }), ""},
		{"bound topic, its tenant", change(func(r *Record) { r.Topic = "acme-bills"; r.Value = []byte(with("tenant_id", `"acme"`)) }), ""},
		{"bound topic, another tenant", change(func(r *Record) { r.Topic = "acme-bills"; r.Value = []byte(with("tenant_id", `"default"`)) }), billing.TenantMismatch},
		{"credit, labelled", value("cost_usd", `-1`, "charge_category", `"Credit"`), ""},
		{"adjustment, labelled", value("cost_usd", `-1`, "charge_category", `"Adjustment"`), ""},
		{"usage, labelled", value("cost_usd", `-1`, "charge_category", `"Usage"`), billing.CostNegativeUnlabelled},
		{"nothing, labelled", value("cost_usd", `-1`), billing.CostNegativeUnlabelled},
		{"credit, reject", value("tenant_id", `"strict"`, "cost_usd", `-1`, "charge_category", `"Credit"`), billing.CostNegative},
		{"nothing, allow", value("tenant_id", `"loose"`, "cost_usd", `-1`), ""},
		{"minus zero", value("tenant_id", `"strict"`, "cost_usd", `-0.0`), ""},
		{"a negative that rounds to zero", value("tenant_id", `"strict"`, "cost_usd", `-1e-30`), ""},
	} {
		var e billing.Event
		_, rej := New(rules).Decode(c.rec, &e)
		var got billing.Reason
		if rej != nil {
			got = rej.Reason
		}
		if got != c.want {
			t.Errorf("%s: %v, want %q", c.name, rej, c.want)
		}
	}
}

// Some record of the two tests above is rejected for every reason.
func TestEveryReasonIsGiven(t *testing.T) {
	t.Parallel()
	given := map[billing.Reason]bool{
		// Of TestRejectedByRules.
		billing.RecordNull: true, billing.RecordTooLarge: true, billing.RecordTimestampMissing: true,
		billing.TenantMismatch: true, billing.CostNegativeUnlabelled: true,
	}
	for _, c := range rejected {
		given[c.reason] = true
	}
	for _, r := range billing.Reasons() {
		if !given[r] {
			t.Errorf("no record is rejected for %s", r)
		}
	}
}

// A record with all faults is rejected for the first. When the faults are repaired one by one, it is rejected
// for each in the order of billing.Reasons.
func TestOrderOfChecks(t *testing.T) {
	t.Parallel()
	rules := billing.DefaultRules()
	repairs := []struct {
		reason  billing.Reason
		changes []string
	}{
		{billing.TenantIDInvalid, []string{"tenant_id", `"a"`}},
		{billing.EventIDMissing, []string{"event_id", `"e"`}},
		{billing.OpInvalid, []string{"op", `"upsert"`}},
		{billing.IngestedAtInvalid, []string{"ingested_at", `"2025-01-01"`}},
		{billing.SourceRevisionInvalid, []string{"source_revision", `1`}},
		{billing.AccountIDNumber, []string{"account_id", `"1"`}},
		{billing.ServiceNameMissing, []string{"service_name", `"s"`}},
		{billing.UsageDateMissing, []string{"usage_date", `"2025-01-01"`}},
		{billing.CurrencyUnsupported, []string{"currency", `"USD"`}},
		{billing.CostInvalid, []string{"cost_usd", `-1`}},
		{billing.ChargeCategoryInvalid, []string{"charge_category", `"Usage"`}},
		{billing.CostNegative, []string{"cost_usd", `1`}},
		{billing.BillingPeriodInvalid, []string{"billing_period", `"2025-01"`}},
		{billing.RegionInvalid, []string{"region", `"r"`}},
		{billing.PricingModelInvalid, []string{"pricing_model", `"p"`}},
	}
	changes := []string{
		"pricing_model", `1`, "region", `1`, "billing_period", `1`, "charge_category", `1`, "cost_usd", `"x"`, "currency", `1`, "usage_date", ``,
		"service_name", ``, "account_id", `1`, "source_revision", `-1`, "ingested_at", `1`, "op", `1`, "event_id", ``, "tenant_id", `1`,
	}
	d := New(rules)
	var e billing.Event
	for _, m := range repairs {
		if _, rej := d.Decode(record(with(changes...)), &e); rej == nil || rej.Reason != m.reason {
			t.Fatalf("%v, want %s", rej, m.reason)
		}
		changes = append(changes, m.changes...)
	}
	if _, rej := d.Decode(record(with(changes...)), &e); rej != nil {
		t.Fatalf("after all repairs: %v", rej)
	}
}

// A rejection contains the fields that can be read, wherever in the record the fault is.
func TestRejectionKeepsReadableFields(t *testing.T) {
	t.Parallel()
	source := record("").Source
	at := func(text string, revision int64) billing.Version {
		return billing.Version{IngestedAt: instant(t, text), SourceRevision: revision, Source: source}
	}
	arrivedAt := arrived.Format(time.RFC3339Nano)
	full := billing.Rejection{
		Tenant: "acme", Event: "e1", Account: "0042", Day: day(t, "2025-01-01"), HasDay: true, Cost: money(t, "15"), HasCost: true,
		Version: at("2025-01-02T00:00:00Z", 3),
	}
	members := []string{"tenant_id", `"acme"`, "ingested_at", `"2025-01-02"`, "source_revision", `3`}
	text := func(changes ...string) string {
		return with(append(members[:len(members):len(members)], changes...)...)
	}
	but := func(f func(*billing.Rejection)) billing.Rejection { r := full; f(&r); return r }
	for _, c := range []struct {
		name  string
		value string
		want  billing.Rejection
	}{
		{"a member at the end", text("region", `7`), full},
		{"a member at the beginning", text("event_id", `""`), but(func(r *billing.Rejection) { r.Event = "" })},
		{"no tenant is the default one", with("region", `7`, "ingested_at", `"2025-01-02"`, "source_revision", `3`), but(func(r *billing.Rejection) { r.Tenant = "default" })},
		{"a tenant that is none", text("tenant_id", `"a b"`), but(func(r *billing.Rejection) { r.Tenant = "" })},
		{"ingested_at out of bounds", text("ingested_at", `"2026-01-01"`), but(func(r *billing.Rejection) { r.Version = at(arrivedAt, 3) })},
		{"revision unreadable", text("source_revision", `-1`), but(func(r *billing.Rejection) { r.Version = at("2025-01-02T00:00:00Z", 0) })},
		{"another currency is no USD", text("currency", `"NOK"`), but(func(r *billing.Rejection) { r.Cost, r.HasCost = billing.Money{}, false })},
		{"negative", text("cost_usd", `-15`), but(func(r *billing.Rejection) { r.Cost = money(t, "-15") })},
		{"days that conflict", text("usage_start", `"2025-01-02"`), but(func(r *billing.Rejection) { r.Day, r.HasDay = 0, false })},
		{"a day too far ahead", text("usage_date", `"2025-02-01"`), but(func(r *billing.Rejection) { r.Day = day(t, "2025-02-01") })},
		{"trailing data", text() + "x", full},
		{"too deep", text("x", nested(MaxDepth)), full},
		{"another member twice", text("x", `1`)[:len(text("x", `1`))-1] + `,"x":2}`, full},
		{"a member twice", text()[:len(text())-1] + `,"account_id":"0042"}`, but(func(r *billing.Rejection) { r.Account = "" })},
		{"half a surrogate pair", text("account_id", `"\ud800"`), but(func(r *billing.Rejection) { r.Account = "" })},
		{"invalid UTF-8", text("event_id", "\"\xFF\""), but(func(r *billing.Rejection) { r.Event = "" })},
		{"cut short", text()[:len(text())-1], full},
		{"cut short before the tenant", `{"event_id":"e1","account_id":"0042","usage_date":"2025-01-01","tenant_`, billing.Rejection{
			Event: "e1", Account: "0042", Day: full.Day, HasDay: true, Version: at(arrivedAt, 0),
		}},
		{"no JSON", `hello`, billing.Rejection{Version: at(arrivedAt, 0)}},
		{"an object with nothing", `{}`, billing.Rejection{Tenant: "default", Version: at(arrivedAt, 0)}},
		{"a delete", `{"op":"delete","event_id":"","tenant_id":"acme","account_id":"0042","usage_date":"2025-01-01"}`, billing.Rejection{
			Tenant: "acme", Account: "0042", Day: full.Day, HasDay: true, Version: at(arrivedAt, 0),
		}},
	} {
		var e billing.Event
		_, rej := New(billing.DefaultRules()).Decode(record(c.value), &e)
		if rej == nil {
			t.Errorf("%s: accepted", c.name)
			continue
		}
		got := *rej
		got.Reason, got.Detail = "", ""
		if got != c.want {
			t.Errorf("%s (%s):\ngot  %+v\nwant %+v", c.name, rej.Reason, got, c.want)
		}
	}
	r := record(with())
	r.Source.RecordTime = -1
	var e billing.Event
	if _, rej := New(billing.DefaultRules()).Decode(r, &e); rej == nil || rej.Version.IngestedAt != 0 || rej.Event != "e1" {
		t.Errorf("without a timestamp: %+v", rej)
	}
}
