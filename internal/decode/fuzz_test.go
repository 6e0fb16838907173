package decode

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"daybook/internal/billing"
)

// naive is a record that is read by encoding/json into a map. ok is false if the text is not strict JSON.
type naive struct {
	members map[string]json.RawMessage
	ok      bool
}

func readNaively(value []byte) naive {
	if !utf8.Valid(value) || !json.Valid(value) || strings.TrimLeft(string(value), " \t\r\n")[0] != '{' || !strict(value) {
		return naive{}
	}
	n := naive{ok: true}
	if err := json.Unmarshal(value, &n.members); err != nil {
		return naive{}
	}
	return n
}

// strict looks through the tokens of valid JSON for faults that encoding/json accepts: duplicate keys, half
// surrogate pairs, depth.
func strict(value []byte) bool {
	d := json.NewDecoder(strings.NewReader(string(value)))
	d.UseNumber()
	type level struct {
		keys  map[string]bool
		isKey bool
	}
	var stack []level
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return !halfPair(string(value))
		}
		if err != nil {
			return false
		}
		top := len(stack) - 1
		if delim, ok := token.(json.Delim); ok {
			switch delim {
			case '{', '[':
				if top >= 0 {
					stack[top].isKey = stack[top].keys != nil
				}
				l := level{}
				if delim == '{' {
					l = level{keys: map[string]bool{}, isKey: true}
				}
				if stack = append(stack, l); len(stack) > MaxDepth {
					return false
				}
			default:
				stack = stack[:top]
			}
			continue
		}
		if top < 0 || stack[top].keys == nil {
			continue
		}
		if stack[top].isKey {
			key := token.(string)
			if stack[top].keys[key] {
				return false
			}
			stack[top].keys[key] = true
		}
		stack[top].isKey = !stack[top].isKey
	}
}

// halfPair looks for an escaped half of a surrogate pair in valid JSON.
func halfPair(text string) bool {
	half := func(s string, from, to string) bool {
		return len(s) >= 6 && s[:2] == `\u` && strings.ToLower(s[2:6]) >= from && strings.ToLower(s[2:6]) <= to
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		switch s := text[i:]; {
		case half(s, "d800", "dbff") && half(s[6:], "dc00", "dfff"):
			i += 11
		case half(s, "d800", "dfff"):
			return true
		default:
			i++
		}
	}
	return false
}

// text returns the text of a string member.
func (n naive) text(name string) string {
	var s string
	if raw := n.members[name]; len(raw) > 0 && raw[0] == '"' {
		if err := json.Unmarshal(raw, &s); err != nil {
			return ""
		}
	}
	return s
}

// fataler is implemented by *testing.T and *rapid.T.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkVerdict compares the decoder's verdict on a value with the naive reading and with its verdict on the
// same value again.
func checkVerdict(t fataler, value []byte) {
	t.Helper()
	rules := billing.DefaultRules()
	rules.DefaultNegative = billing.AllowNegative
	d := New(rules)
	r := record(string(value))
	var e billing.Event
	rounded, rej := d.Decode(r, &e)
	var again billing.Event
	rounded2, rej2 := d.Decode(r, &again)
	if e != again || rounded != rounded2 || (rej == nil) != (rej2 == nil) || rej != nil && *rej != *rej2 {
		t.Fatalf("%q: two verdicts: %+v %v, %+v %v", value, e, rej, again, rej2)
	}
	n := readNaively(value)
	if rej != nil {
		json := strings.HasPrefix(string(rej.Reason), "json_")
		if json == n.ok {
			t.Fatalf("%q: %v, but the naive reading says %t", value, rej, n.ok)
		}
		if !slices.Contains(billing.Reasons(), rej.Reason) || rej.Version.Source != r.Source {
			t.Fatalf("%q: %+v", value, rej)
		}
		for _, s := range []string{string(rej.Tenant), string(rej.Event), string(rej.Account), rej.Detail} {
			if !utf8.ValidString(s) || len(s) > 1000 {
				t.Fatalf("%q: the rejection holds %q", value, s)
			}
		}
		return
	}
	if !n.ok {
		t.Fatalf("%q: accepted, but the naive reading refuses it", value)
	}
	if string(e.ID) != n.text("event_id") || e.ID == "" || len(e.ID) > billing.MaxIDBytes || !e.Tenant.Valid() {
		t.Fatalf("%q: %+v", value, e)
	}
	if tenant := n.text("tenant_id"); tenant != "" && tenant != string(e.Tenant) {
		t.Fatalf("%q: tenant %s", value, e.Tenant)
	}
	if e.Op == billing.Delete {
		if n.text("op") != "delete" || e.Account != "" || e.Cost.Sign() != 0 || e.Attributes != "" {
			t.Fatalf("%q: %+v", value, e)
		}
		return
	}
	if string(e.Account) != n.text("account_id") || string(e.Service) != n.text("service_name") || string(e.Region) != n.text("region") ||
		string(e.PricingModel) != n.text("pricing_model") || string(e.Category) != n.text("charge_category") || string(e.Period) != n.text("billing_period") {
		t.Fatalf("%q: %+v", value, e)
	}
	if date := n.text("usage_date"); len(date) == 10 && date != e.Day.String() {
		t.Fatalf("%q: day %s", value, e.Day)
	}
	checkCost(t, value, string(n.members["cost_usd"]), &e, rounded)
	checkAttributes(t, value, n, &e)
}

func checkCost(t fataler, value []byte, text string, e *billing.Event, rounded bool) {
	t.Helper()
	text = strings.Trim(text, `"`)
	if i := strings.IndexAny(text, `eE\`); i >= 0 && (len(text)-i > 5 || text[i] == '\\') {
		return // big.Rat would write out the exponent
	}
	exact, ok := new(big.Rat).SetString(text)
	got, ok2 := new(big.Rat).SetString(e.Cost.String())
	if !ok || !ok2 {
		t.Fatalf("%q: cost %s of %q", value, e.Cost, text)
	}
	// The difference is at most half a unit of the 18th place, and zero unless rounded is set.
	diff := new(big.Rat).Sub(exact, got)
	half := new(big.Rat).SetFrac(big.NewInt(1), big.NewInt(2_000_000_000_000_000_000))
	if diff.Abs(diff).Cmp(half) > 0 || (diff.Sign() != 0) != rounded {
		t.Fatalf("%q: cost %s, rounded %t", value, e.Cost, rounded)
	}
}

// checkAttributes fails unless the attributes are all members that are not modelled, ascending by name, with
// the text of their values.
func checkAttributes(t fataler, value []byte, n naive, e *billing.Event) {
	t.Helper()
	want := maps.Clone(n.members)
	for m := range n.members {
		if memberOf([]byte(m)) != unmodelled {
			delete(want, m)
		}
	}
	if len(want) == 0 && e.Attributes == "" {
		return
	}
	d := json.NewDecoder(strings.NewReader(e.Attributes))
	token := func() json.Token {
		tok, err := d.Token()
		if err != nil {
			t.Fatalf("%q: attributes %q: %v", value, e.Attributes, err)
		}
		return tok
	}
	token() // {
	for last := ""; d.More(); {
		name, ok := token().(string)
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil || !ok || name <= last && last != "" || string(raw) != string(want[name]) {
			t.Fatalf("%q: attributes %q, %q is %q, want %q: %v", value, e.Attributes, name, raw, want[name], err)
		}
		last = name
		delete(want, name)
	}
	if len(want) != 0 {
		t.Fatalf("%q: attributes %q lack %v", value, e.Attributes, want)
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range accepted {
		f.Add([]byte(c.value))
	}
	for _, c := range rejected {
		if len(c.value) < 1000 {
			f.Add([]byte(c.value))
		}
	}
	f.Fuzz(func(t *testing.T, value []byte) { checkVerdict(t, value) })
}

// TestDecodeAgreesWithNaiveReading runs the checks of FuzzDecode on objects that a generator builds of odd
// members, which it finds faster than a fuzzer.
func TestDecodeAgreesWithNaiveReading(t *testing.T) {
	t.Parallel()
	names := []string{
		"event_id", "account_id", "service_name", "usage_date", "usage_start", "cost_usd", "ingested_at", "ingestion_date", "source_revision",
		"region", "pricing_model", "tenant_id", "charge_category", "billing_period", "currency", "op", "x", "y", `\u0078`, `\ud800`, "Event_ID",
	}
	values := []string{
		`"a"`, `"0042"`, `""`, `null`, `7`, `-7.50`, `"1e3"`, `1.0000000000000000005`, `"2025-01-01"`, `"2025-01-02T03:04:05Z"`, `"2025-01-01T23:00:00-02:00"`,
		`"USD"`, `"delete"`, `"upsert"`, `"Credit"`, `"2025-01"`, `true`, `{"a":[1,{"b":"\u00e9"}]}`, `{"a":1,"a":2}`, `[]`, `"\ud83d\ude00"`, `"\udc00"`, `0`, `01`,
	}
	rapid.Check(t, func(t *rapid.T) {
		var changes []string
		for range rapid.IntRange(0, 6).Draw(t, "changes") {
			changes = append(changes, rapid.SampledFrom(names).Draw(t, "name"), rapid.SampledFrom(values).Draw(t, "value"))
		}
		value := with(changes...)
		if rapid.IntRange(0, 9).Draw(t, "twist") == 0 {
			value = value[:rapid.IntRange(0, len(value)).Draw(t, "cut")] + rapid.SampledFrom([]string{"", "}", " ", "{}", "\xff"}).Draw(t, "tail")
		}
		checkVerdict(t, []byte(value))
	})
}
