package decode

import (
	"strings"
	"testing"
	"time"

	"daybook/internal/billing"
)

// arrived is the timestamp of the records in these tests.
var arrived = time.Date(2025, 1, 10, 12, 0, 0, 0, time.UTC)

func record(value string) Record {
	return Record{
		Topic:  "bills",
		Source: billing.Source{Topic: 3, Partition: 5, Offset: 77, RecordTime: arrived.UnixMilli()},
		Value:  []byte(value),
	}
}

func instant(t testing.TB, text string) billing.Instant {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	i, ok := billing.InstantOf(at)
	if !ok {
		t.Fatalf("%s is no instant", text)
	}
	return i
}

func day(t testing.TB, text string) billing.Day {
	t.Helper()
	d, err := billing.ParseDay(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func money(t testing.TB, text string) billing.Money {
	t.Helper()
	m, _, err := billing.ParseMoney(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// with returns a valid event with some members replaced or added. A value of "" removes the member.
func with(changes ...string) string {
	members := []string{"event_id", `"e1"`, "account_id", `"0042"`, "service_name", `"EC2"`, "usage_date", `"2025-01-01"`, "cost_usd", `15.0`}
	for i := 0; i < len(changes); i += 2 {
		at := len(members)
		for k := 0; k < len(members); k += 2 {
			if members[k] == changes[i] {
				at = k
			}
		}
		members = append(members[:at], append([]string{changes[i], changes[i+1]}, members[min(at+2, len(members)):]...)...)
	}
	var b strings.Builder
	for k := 0; k < len(members); k += 2 {
		if members[k+1] == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + members[k] + `":` + members[k+1])
	}
	return "{" + b.String() + "}"
}

func TestDecodeFillsEveryField(t *testing.T) {
	t.Parallel()
	text := ` {"tenant_id":"acme","event_id":"e\u0031 ü","account_id":"0042","service_name":"EC2 \"x\"","usage_start":"2025-01-02T01:30:00+02:00",
		"usage_date":"2025-01-01","cost_usd":"-1.5E1","ingested_at":"2025-01-02T03:04:05.123456789Z","ingestion_date":"2025-01-02","source_revision":7,
		"region":"eu","pricing_model":"spot","charge_category":"Credit","billing_period":"2025-02","currency":"USD","op":"upsert",
		"z":{"b" : [1,2.50],"a":null},"\u0061":1e400,"Cost_USD":"x"} `
	rules := billing.DefaultRules()
	rules.DefaultNegative = billing.LabelledNegative
	r := record(text)
	var got billing.Event
	rounded, rej := New(rules).Decode(r, &got)
	if rej != nil || rounded {
		t.Fatalf("rounded %t, %v", rounded, rej)
	}
	clear(r.Value) // the event must not refer to the record
	want := billing.Event{
		Tenant: "acme", ID: "e1 ü", Account: "0042", Service: `EC2 "x"`, Day: day(t, "2025-01-01"), Cost: money(t, "-15"),
		Region: "eu", PricingModel: "spot", Category: billing.Credit, Period: "2025-02",
		Attributes: `{"Cost_USD":"x","a":1e400,"z":{"b" : [1,2.50],"a":null}}`,
		Version:    billing.Version{IngestedAt: instant(t, "2025-01-02T03:04:05.123456789Z"), SourceRevision: 7, Source: r.Source},
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
