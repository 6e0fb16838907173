package produce

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write golden files instead of comparing")

// testNow is the moment tests load at.
var testNow = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// load runs a load over files into text: the events, then the bad rows.
func load(t *testing.T, c Config, files ...string) (string, Summary, error) {
	t.Helper()
	var out bytes.Buffer
	var bad strings.Builder
	l := &Load{Config: c, Files: files, Sink: NewPrinter(&out), OnBadRow: func(b BadRow) error {
		b.File = filepath.Base(b.File)
		fmt.Fprintf(&bad, "bad row: %s\n", b)
		return nil
	}}
	sum, err := l.Run(t.Context(), testNow)
	return out.String() + bad.String(), sum, err
}

// TestMappings loads made-up files of every layout and compares with what they
// must become.
func TestMappings(t *testing.T) {
	f := func(file string, c Config, variant string) {
		t.Helper()
		got, sum, err := load(t, c, filepath.Join("testdata", "mapping", file))
		if err != nil {
			t.Errorf("%s%s: %v", file, variant, err)
			return
		}
		got += fmt.Sprintf("%+v\n", sum)
		golden := filepath.Join("testdata", "mapping", file+variant+".golden")
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s%s: got\n%s\nwant\n%s", file, variant, got, want)
		}
	}
	f("seed.csv", Config{}, "")
	f("seed.csv", Config{Tenant: "acme", Map: map[string]string{"service_name": "account_id", "attributes.name": "service_name"}}, ".renamed")
	f("mapped.csv", Config{Delimiter: ";", ExportedAt: "2025-04-01", Map: map[string]string{
		"event_id": "Charge No", "account_id": "Customer", "service_name": "What; exactly", "usage_date": "Day",
		"cost_usd": "Amount", "currency": "Currency", "region": "Place", "source_revision": "Rev",
	}}, "")
	f("cur_legacy.csv", Config{ExportedAt: "2025-03-02T10:00:00Z"}, "")
	f("cur_legacy.csv", Config{ExportedAt: "2025-03-02T10:00:00Z", CostColumn: "lineItem/BlendedCost", Tenant: "blended"}, ".blended")
	f("cur2.csv", Config{ExportedAt: "2025-03-02"}, "")
	f("focus.csv", Config{ExportedAt: "2024-10-05", EventID: []string{"SubAccountId", "ChargePeriodStart"}}, "")
	f("focus.csv", Config{ExportedAt: "2024-10-05", Map: map[string]string{"event_id": "x_op"}}, ".id")
	f("events.jsonl", Config{}, "")
	f("events.jsonl", Config{Tenant: "acme", ExportedAt: "2025-01-05"}, ".filled")
	f("events.jsonl", Config{BadRows: PushBadRows}, ".pushed")
}

// TestRefused are headers and flags that would lose or mistake something.
func TestRefused(t *testing.T) {
	f := func(text string, c Config, want ...string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "rows.csv")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, _, err := load(t, c, file)
		if err == nil {
			t.Errorf("%q is accepted", text)
			return
		}
		if out != "" {
			t.Errorf("%q: rows were pushed all the same:\n%s", text, out)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("no %q in: %v", w, err)
			}
		}
	}
	const seed = "event_id,account_id,service_name,usage_date,cost_usd"
	f("", Config{}, "empty")
	f(seed+"\n1,2,3,2025-01-01,4\n", Config{}, "--exported-at")
	f("event_id,cost_usd,ingested_at\n", Config{}, "account_id", "service_name", "usage_date or usage_start")
	f(seed+",cost_usd,ingested_at\n", Config{}, `both named "cost_usd"`)
	f(seed+",ingested_at,Currency Code\n", Config{}, "not in USD", "--map currency=Currency Code")
	f(seed+",ingested_at,zone\n", Config{Map: map[string]string{"region": "Zone"}}, "--map region=Zone: the file has no such column")
	f(seed+",ingested_at,region,zone\n", Config{Map: map[string]string{"region": "zone"}}, `"region" would be read as the field`)
	f(seed+",ingested_at\n", Config{EventID: []string{"nope"}}, `--event-id: the file has no column "nope"`)
	f(seed+",ingested_at\n", Config{CostColumn: "nope"}, `--cost-column: the file has no column "nope"`)
	f(seed+",ingested_at,a,b\n", Config{Map: map[string]string{"attributes.a": "b"}}, "both become the attribute")
	f("ChargePeriodStart,BilledCost,BillingCurrency,SubAccountId,ServiceName\n", Config{ExportedAt: "2025-01-01"}, "--event-id")
	f("ChargePeriodStart,BilledCost,BillingCurrency,SubAccountId,ServiceName,Id\n", Config{}, "--exported-at")
	f("ChargePeriodStart,BilledCost,SubAccountId,ServiceName,Id\n", Config{ExportedAt: "2025-01-01"}, "currency")
	f("ChargePeriodStart,BilledCost,ListCost,BillingCurrency,SubAccountId,ServiceName,Id\n", Config{ExportedAt: "2025-01-01", CostColumn: "ListCost"}, "--tenant")
	f("identity/LineItemId,lineItem/UnblendedCost,lineItem/CurrencyCode,lineItem/UsageAccountId,lineItem/ProductCode\n", Config{ExportedAt: "2025-01-01"}, "not unique", "--event-id")
	f(`{"event_id":"1"}`, Config{Map: map[string]string{"region": "zone"}}, "--map is for tables")
	f("PK\x03\x04....", Config{}, "ZIP")
	f("PAR1....", Config{}, "Parquet")
	f("\xff\xfee\x00v\x00", Config{}, "UTF-16")
	f("\x1f\x8bnot gzip at all", Config{}, "gzip")
}

// TestHeaderOfLaterFileStopsBeforeTheFirstRow: nothing is pushed of a load that
// cannot be pushed whole.
func TestHeaderOfLaterFileStopsBeforeTheFirstRow(t *testing.T) {
	wrong := filepath.Join(t.TempDir(), "wrong.csv")
	if err := os.WriteFile(wrong, []byte("a,b\n1,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, err := load(t, Config{}, filepath.Join("testdata", "mapping", "seed.csv"), wrong)
	if err == nil || !strings.Contains(err.Error(), "wrong.csv") {
		t.Errorf("got %v", err)
	}
	if out != "" {
		t.Errorf("rows were pushed:\n%s", out)
	}
}

func TestValidate(t *testing.T) {
	c := Config{
		Format: "xml", BadRows: "drop", Delimiter: "::", ExportedAt: "yesterday", Tenant: ".hidden",
		Map:     map[string]string{"colour": "Colour", "attributes.cost_usd": "x", "event_id": "y", "cost_usd": "z", "region": ""},
		EventID: []string{"a"}, CostColumn: "b",
	}
	err := c.Validate(testNow)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`"xml"`, `"drop"`, `"::"`, `"yesterday"`, `".hidden"`, "colour is not a field", `named "cost_usd"`, "--event-id and --map", "--cost-column and --map", "names no column"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in:\n%v", want, err)
		}
	}
	ahead := Config{ExportedAt: "2026-01-03"}
	if err := ahead.Validate(testNow); err == nil || !strings.Contains(err.Error(), "ahead") {
		t.Errorf("an export of the day after tomorrow: %v", err)
	}
}
