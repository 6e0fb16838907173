package billing

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestDefaultRulesAreValid(t *testing.T) {
	t.Parallel()
	if err := DefaultRules().Validate(); err != nil {
		t.Error(err)
	}
}

func TestRulesReportEveryFault(t *testing.T) {
	t.Parallel()
	r := Rules{
		DefaultNegative:  "maybe",
		Negative:         map[TenantID]NegativePolicy{".x": AllowNegative, "a": "never"},
		Bindings:         map[string]TenantID{"": "a", "bills": "b c"},
		MaxUsageAhead:    -1,
		MaxIngestedAhead: 100 * 366 * 24 * time.Hour,
		MaxRecordBytes:   0,
	}
	err := r.Validate()
	if err == nil {
		t.Fatal("no fault found")
	}
	for _, want := range []string{`"maybe"`, `".x"`, `"never"`, "names no topic", `"b c"`, "usage_date", "ingested_at", "record size"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
	if n := len(strings.Split(err.Error(), "\n")); n != 8 {
		t.Errorf("%d lines, want 8:\n%v", n, err)
	}
}

func TestRulesDigest(t *testing.T) {
	t.Parallel()
	base := DefaultRules()
	want := base.Digest()
	for name, change := range map[string]func(*Rules){
		"DefaultNegative":  func(r *Rules) { r.DefaultNegative = AllowNegative },
		"Negative":         func(r *Rules) { r.Negative = map[TenantID]NegativePolicy{"a": AllowNegative} },
		"Bindings":         func(r *Rules) { r.Bindings = map[string]TenantID{"t": "a"} },
		"MaxUsageAhead":    func(r *Rules) { r.MaxUsageAhead++ },
		"MaxIngestedAhead": func(r *Rules) { r.MaxIngestedAhead++ },
		"MaxRecordBytes":   func(r *Rules) { r.MaxRecordBytes++ },
	} {
		if _, ok := reflect.TypeFor[Rules]().FieldByName(name); !ok {
			t.Fatalf("no field %s", name)
		}
		r := DefaultRules()
		if change(&r); r.Digest() == want {
			t.Errorf("%s does not change the digest", name)
		}
	}
	if n := reflect.TypeFor[Rules]().NumField(); n != 6 {
		t.Errorf("Rules has %d fields: name the new ones above", n)
	}
	// A state keeps its rules as JSON. Reading them back keeps the digest, and an empty map equals none.
	text, err := json.Marshal(base)
	if err != nil {
		t.Fatal(err)
	}
	back := Rules{Negative: map[TenantID]NegativePolicy{}, Bindings: map[string]TenantID{}}
	if err := json.Unmarshal(text, &back); err != nil || back.Digest() != want {
		t.Errorf("read back as %+v, %v", back, err)
	}
}

func TestNegativeFor(t *testing.T) {
	t.Parallel()
	r := Rules{DefaultNegative: RejectNegative, Negative: map[TenantID]NegativePolicy{"a": AllowNegative}}
	if r.NegativeFor("a") != AllowNegative || r.NegativeFor("b") != RejectNegative {
		t.Error("the tenant's own policy must win over the default")
	}
}

func TestTenantIDValid(t *testing.T) {
	t.Parallel()
	for id, want := range map[TenantID]bool{
		"a": true, "A-b_c.9": true, "default": true, TenantID(strings.Repeat("x", 64)): true, "a..b": true, "-": true,
		"": false, ".": false, "..": false, ".a": false, "a/b": false, "a b": false, "é": false, "a\x00": false,
		TenantID(strings.Repeat("x", 65)): false,
	} {
		if id.Valid() != want {
			t.Errorf("%q valid: %t", id, !want)
		}
	}
}
