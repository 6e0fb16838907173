package decode

import (
	"strings"
	"testing"
	"unicode"

	"daybook/internal/billing"
)

// accepted are records that are events by the default rules. check looks at what is special of each.
var accepted = []struct {
	name  string
	value string
	check func(t testing.TB, e *billing.Event, rounded bool)
}{
	{"required members only", with(), func(t testing.TB, e *billing.Event, _ bool) {
		if e.Tenant != billing.DefaultTenant || e.Region != "" || e.Attributes != "" || e.Category != "" || e.Period != "" {
			t.Errorf("%+v", e)
		}
		if e.Version.IngestedAt != billing.Instant(arrived.UnixNano()) || e.Version.SourceRevision != 0 {
			t.Errorf("version %+v", e.Version)
		}
	}},
	{"nulls", with("tenant_id", `null`, "region", `null`, "pricing_model", `null`, "charge_category", `null`, "billing_period", `null`,
		"currency", `null`, "op", `null`, "ingested_at", `null`, "source_revision", `null`, "usage_start", `null`), nil},
	{"empty is null", with("region", `""`, "pricing_model", `""`), func(t testing.TB, e *billing.Event, _ bool) {
		if e.Region != "" || e.PricingModel != "" {
			t.Errorf("%+v", e)
		}
	}},
	{"leading zeros", with("account_id", `"000042"`), func(t testing.TB, e *billing.Event, _ bool) {
		if e.Account != "000042" {
			t.Errorf("account %s", e.Account)
		}
	}},
	{"longest ids", with("event_id", `"`+strings.Repeat("é", 128)+`"`, "account_id", `"`+strings.Repeat("x", 256)+`"`, "tenant_id", `"`+strings.Repeat("x", 64)+`"`), nil},
	{"an escaped name and value", `{"\u0065vent_id":"e\u0031","account_id":"0042","service_name":"EC2","usage_date":"2025-01-01","cost_usd":15.0}`,
		func(t testing.TB, e *billing.Event, _ bool) {
			if e.ID != "e1" || e.Attributes != "" {
				t.Errorf("%+v", e)
			}
		}},
	{"a surrogate pair", with("service_name", `"\ud83d\ude00"`), func(t testing.TB, e *billing.Event, _ bool) {
		if e.Service != "😀" {
			t.Errorf("service %q", e.Service)
		}
	}},
	{"usage_start alone", with("usage_date", ``, "usage_start", `"2024-12-31T23:30:00-01:00"`), func(t testing.TB, e *billing.Event, _ bool) {
		if e.Day.String() != "2025-01-01" {
			t.Errorf("day %s", e.Day)
		}
	}},
	{"a time as usage_date", with("usage_date", `"2025-01-02T00:30:00+01:00"`), func(t testing.TB, e *billing.Event, _ bool) {
		if e.Day.String() != "2025-01-01" {
			t.Errorf("day %s", e.Day)
		}
	}},
	{"usage 7 days ahead", with("usage_date", `"2025-01-17"`), nil},
	{"the first day", with("usage_date", `"1970-01-01"`), func(t testing.TB, e *billing.Event, _ bool) {
		if e.Day != 0 {
			t.Errorf("day %s", e.Day)
		}
	}},
	{"ingestion_date", with("ingestion_date", `"2025-01-02"`), func(t testing.TB, e *billing.Event, _ bool) {
		if e.Version.IngestedAt != instant(t, "2025-01-02T00:00:00Z") {
			t.Errorf("version %+v", e.Version)
		}
	}},
	{"ingested_at and its date, exchanged", with("ingested_at", `"2025-01-02"`, "ingestion_date", `"2025-01-02T03:00:00Z"`), func(t testing.TB, e *billing.Event, _ bool) {
		if e.Version.IngestedAt != instant(t, "2025-01-02T03:00:00Z") {
			t.Errorf("version %+v", e.Version)
		}
	}},
	{"ingested_at 24 h ahead", with("ingested_at", `"2025-01-11T12:00:00Z"`), nil},
	{"digits beyond nanoseconds", with("ingested_at", `"2025-01-02t03:04:05.1234567899z"`), func(t testing.TB, e *billing.Event, _ bool) {
		if e.Version.IngestedAt != instant(t, "2025-01-02T03:04:05.123456789Z") {
			t.Errorf("version %+v", e.Version)
		}
	}},
	{"the greatest revision", with("source_revision", `9223372036854775807`), func(t testing.TB, e *billing.Event, _ bool) {
		if e.Version.SourceRevision != 1<<63-1 {
			t.Errorf("version %+v", e.Version)
		}
	}},
	{"a revision written as a float", with("source_revision", `2.0`), func(t testing.TB, e *billing.Event, _ bool) {
		if e.Version.SourceRevision != 2 {
			t.Errorf("version %+v", e.Version)
		}
	}},
	{"a cost beyond a float", with("cost_usd", `12345678901234567890.123456789012345678`), func(t testing.TB, e *billing.Event, rounded bool) {
		if e.Cost.String() != "12345678901234567890.123456789012345678" || rounded {
			t.Errorf("cost %s, rounded %t", e.Cost, rounded)
		}
	}},
	{"a cost that is rounded", with("cost_usd", `"0.00000000000000000150"`), func(t testing.TB, e *billing.Event, rounded bool) {
		if e.Cost.String() != "0.000000000000000002" || !rounded {
			t.Errorf("cost %s, rounded %t", e.Cost, rounded)
		}
	}},
	{"a cost in a string, with exponent", with("cost_usd", `"1.5e+1"`), func(t testing.TB, e *billing.Event, _ bool) {
		if e.Cost.String() != "15" {
			t.Errorf("cost %s", e.Cost)
		}
	}},
	{"every category", with("charge_category", `"Tax"`, "billing_period", `"2024-12"`, "currency", `"USD"`), func(t testing.TB, e *billing.Event, _ bool) {
		if e.Category != billing.Tax || e.Period != "2024-12" {
			t.Errorf("%+v", e)
		}
	}},
	{"case makes another name", with("Cost_USD", `"x"`, "EVENT_ID", `7`), func(t testing.TB, e *billing.Event, _ bool) {
		if e.Attributes != `{"Cost_USD":"x","EVENT_ID":7}` {
			t.Errorf("attributes %s", e.Attributes)
		}
	}},
	{"attributes ascend and keep their text", with("b", `1.50`, "a b", `{ "y" : 1, "x" : [] }`, "\\u0061", `"\u00e9"`, "a\\\"", `null`), func(t testing.TB, e *billing.Event, _ bool) {
		if want := `{"a":"\u00e9","a b":{ "y" : 1, "x" : [] },"a\"":null,"b":1.50}`; e.Attributes != want {
			t.Errorf("attributes %s\nwant       %s", e.Attributes, want)
		}
	}},
	{"as deep as may be", with("x", nested(MaxDepth-1)), nil},
	{"brackets in a string are not depth", with("x", `["`+strings.Repeat("[{", 100)+`\""]`), nil},
	{"a delete", `{"event_id":"e1","op":"delete","tenant_id":"acme","source_revision":2}`, func(t testing.TB, e *billing.Event, _ bool) {
		want := billing.Event{Tenant: "acme", ID: "e1", Op: billing.Delete, Version: e.Version}
		if *e != want || e.Version.SourceRevision != 2 {
			t.Errorf("%+v", e)
		}
	}},
	{"a delete's other members do not count", `{"event_id":"e1","op":"delete","account_id":7,"cost_usd":"x","region":[],"team":"a"}`, func(t testing.TB, e *billing.Event, _ bool) {
		want := billing.Event{Tenant: "default", ID: "e1", Op: billing.Delete, Version: e.Version}
		if *e != want {
			t.Errorf("%+v", e)
		}
	}},
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	d := New(billing.DefaultRules()) // one for all: no record may leave anything behind
	for _, c := range accepted {
		t.Run(c.name, func(t *testing.T) {
			e := billing.Event{ID: "left over", Attributes: "left over", Region: "left over"}
			rounded, rej := d.Decode(record(c.value), &e)
			if rej != nil {
				t.Fatalf("%.300s: %v", c.value, rej)
			}
			if c.check != nil {
				c.check(t, &e, rounded)
			}
		})
	}
}

// Records with the same content have the same digest, in whichever notation. The attributes' text is part of
// the content.
func TestContentDoesNotDependOnNotation(t *testing.T) {
	t.Parallel()
	digest := func(value string) billing.Digest {
		var e billing.Event
		if _, rej := New(billing.DefaultRules()).Decode(record(value), &e); rej != nil {
			t.Fatalf("%s: %v", value, rej)
		}
		return e.Digest()
	}
	base := digest(with("z", `1`, "a", `2`))
	for _, same := range []string{
		with("a", `2`, "z", `1`),
		with("\\u0061", `2`, "z", `1`, "region", `""`, "op", `"upsert"`),
		with("z", `1`, "a", `2`, "cost_usd", `"1.5e1"`, "usage_date", `"2025-01-01T05:00:00Z"`),
		with("z", `1`, "a", `2`, "ingested_at", `"2025-01-02"`, "source_revision", `9`),
	} {
		if digest(same) != base {
			t.Errorf("%s has another digest", same)
		}
	}
	for _, other := range []string{with("z", `1`, "a", `2.0`), with("z", `1`), with("z", `1`, "a", `2`, "region", `"eu"`)} {
		if digest(other) == base {
			t.Errorf("%s has the same digest", other)
		}
	}
}

// TestLending: a lending decoder gives the same events, allocates nothing, and overwrites the text of the event
// before.
func TestLending(t *testing.T) {
	own, lending := New(billing.DefaultRules()), Lending(billing.DefaultRules())
	for _, a := range accepted {
		var want, e billing.Event
		if _, rej := own.Decode(record(a.value), &want); rej != nil {
			continue // accepted by other rules
		}
		if _, rej := lending.Decode(record(a.value), &e); rej != nil || e != want {
			t.Errorf("%s: lent %+v (%v)\nwant %+v", a.name, e, rej, want)
		}
	}
	r := record(benchmarkEvent)
	var e billing.Event
	if n := testing.AllocsPerRun(100, func() { _, _ = lending.Decode(r, &e) }); n != 0 {
		t.Errorf("%g allocations an event", n)
	}
	lent := e.ID
	_, _ = lending.Decode(record(strings.ReplaceAll(benchmarkEvent, "01JGXK5V7Q", "7777777777")), &e)
	if lent != e.ID {
		t.Errorf("the next record does not overwrite the text %q", lent)
	}
}

// TestHasControl compares hasControl with package unicode on every character, at every place in a word of eight
// bytes.
func TestHasControl(t *testing.T) {
	t.Parallel()
	for r := rune(0); r < 0x3000; r++ {
		for before := range 9 {
			text := strings.Repeat("x", before) + string(r) + "12345678"
			if got := hasControl([]byte(text)); got != unicode.IsControl(r) {
				t.Fatalf("hasControl(%q) = %t", text, got)
			}
		}
	}
}
