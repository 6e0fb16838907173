package decode

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"daybook/internal/billing"
)

// plainRecords are records as producers write them: generated ones with every form of id, one of an export, and
// some by hand. All are plain.
func plainRecords(t testing.TB) [][]byte {
	t.Helper()
	text, err := os.ReadFile("testdata/plain.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
}

// oddRecords are records at the edges of what is plain, on both sides.
var oddRecords = []string{
	with("cost_usd", `-0`), with("cost_usd", `-`), with("cost_usd", `1.`), with("cost_usd", `.5`), with("cost_usd", `00`), with("cost_usd", `0.0e0`),
	with("cost_usd", `1E2`), with("cost_usd", `-01`), with("cost_usd", `1x`), with("cost_usd", `1 `), with("cost_usd", "1\t"), with("cost_usd", ` 1`),
	with("cost_usd", `  1`), with("x", `nul`), with("x", `nulL`), with("x", `truefalse`), with("x", `true`), with("x", `false`), with("x", `fals`),
	with("x", `{}`), with("x", `[]`), with("x", `[ ]`), with("x", `{ }`), with("x", `[1, 2,3]`), with("x", `[1,]`), with("x", `[,1]`), with("x", `{"a":1,}`),
	with("x", `{"a"}`), with("x", `{"a":}`), with("x", `{"a":1 }`), with("x", `{"a":1,"b":{"a":2}}`), with("x", `{"a":1,"b":{"c":2,"c":3}}`),
	with("x", `{"a":{"b":1},"a":2}`), with("x", `{a:1}`), with("x", `["a" "b"]`), with("x", `[1}`), with("x", `{"a":1]`), with("x", `1]`),
	with("x", `"`+"\x7f"+`"`), with("x", `"`+"\u0080\ufffd\U0010ffff"+`"`), with("x", `"`+"\xef\xbf"+`"`), with("x", `"`+"\xed\xa0\x80"+`"`),
	with("x", `"1234567`+"\x1f"+`"`), with("x", `"12345678\"90"`), with("x", `"é`+"\x00"+`"`), with("x", `"é\u0041"`), with("\x01", `1`), with(`é`, `1`),
	with("x", nested(plainDepth)), with("x", nested(plainDepth+1)), with("x", nested(plainDepth+2)), with("x", strings.Repeat(`{"a":`, plainDepth)+`1`+strings.Repeat(`}`, plainDepth)),
	with("x", manyMembers(plainNames)), with("x", manyMembers(plainNames+1)), with("x", manyMembers(plainNames-1)+` `),
	with("b", `1`, "a", `2`, "c", `3`), with("b", `1`, "a", `2,"b":3`), with("event_id", `"e1","event_id":"e2"`), with("region", `null,"region":null`),
	`{}`, `{ }`, `{`, `{"`, `{"a`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{,}`, `{"a":1}}`, `{"a":1} `, `{"a":1,}`, `{ "a":1}`, `{"a" :1}`, `{"a": 1, "b": 2}`,
	`{"a":1 , "b":2}`, `{"a":1,  "b":2}`, `{"":""}`, `{"":"","":""}`, with("ä", `1`, "a\u0308", `2`), with("event_id", `"`+strings.Repeat("x", 256)+`"`),
}

// manyMembers is an object of n members.
func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m%d":%d`, i, i)
	}
	return "{" + b.String()[1:] + "}"
}

// comparePaths decodes a value with and without the fast path, and fails unless both find the same members and
// give the same verdict: event or rejection, with every field. It reports whether the fast path read the value.
func comparePaths(t fataler, value []byte) (plain bool) {
	t.Helper()
	compareMembers(t, value)
	labelled := billing.DefaultRules()
	labelled.DefaultNegative, labelled.MaxRecordBytes = billing.LabelledNegative, 400
	bound := billing.DefaultRules()
	bound.DefaultNegative, bound.Bindings = billing.AllowNegative, map[string]billing.TenantID{"bills": "acme"}
	for _, rules := range []billing.Rules{billing.DefaultRules(), labelled, bound} {
		library := New(rules)
		library.noFastPath = true
		var want billing.Event
		r := record(string(value))
		wantRounded, wantRej := library.Decode(r, &want)
		for _, d := range []*Decoder{New(rules), Lending(rules)} {
			// Earlier records leave nothing behind, whichever path reads them.
			for _, before := range []string{with("z", `{"a":[1,{"b":2}]}`, "y", `2`), with("\\u0061", `1`), with("x", `{"a":{"b":[1,`)} {
				var e billing.Event
				_, _ = d.Decode(record(before), &e)
			}
			got := billing.Event{ID: "earlier", Attributes: "earlier"}
			kept := got
			rounded, rej := d.Decode(r, &got)
			if (rej == nil) != (wantRej == nil) || rej != nil && *rej != *wantRej {
				t.Fatalf("%q: rejection %+v, by the library %+v", value, rej, wantRej)
			}
			if rej != nil && got != kept || rej == nil && got != want || rounded != wantRounded {
				t.Fatalf("%q:\nevent %+v, rounded %t\nby the library %+v, rounded %t", value, got, rounded, want, wantRounded)
			}
			plain = d.plain
		}
	}
	return plain
}

// compareMembers fails if the fast path reads a value that the library refuses, or finds other members in it.
func compareMembers(t fataler, value []byte) {
	t.Helper()
	fast, library := New(billing.DefaultRules()), New(billing.DefaultRules())
	if !fast.scanPlain(value) {
		return
	}
	if at, fault := library.scan(value, false); fault != sound {
		t.Fatalf("%q: plain, but the library finds fault %d at byte %d", value, fault, at)
	}
	for m := range memberCount {
		if x, y := fast.raw[m], library.raw[m]; !bytes.Equal(x, y) || (x == nil) != (y == nil) {
			t.Fatalf("%q: member %d is %q, by the library %q", value, m, x, y)
		}
	}
	slices.SortFunc(library.extra, compareExtra)
	if !slices.EqualFunc(fast.extra, library.extra, func(x, y extra) bool { return bytes.Equal(x.name, y.name) && bytes.Equal(x.value, y.value) }) {
		t.Fatalf("%q: members that are not modelled: %q, by the library %q", value, fast.extra, library.extra)
	}
}

// TestPlainRecords: the fast path reads what producers write, and gives the verdict of the library.
func TestPlainRecords(t *testing.T) {
	t.Parallel()
	for _, value := range plainRecords(t) {
		if !comparePaths(t, value) {
			t.Errorf("not plain: %s", value)
		}
	}
	if !comparePaths(t, []byte(benchmarkEvent)) {
		t.Errorf("not plain: %s", benchmarkEvent)
	}
}

// TestPathsAgree: both paths give the same verdict on every record of the other tests, and find the same
// members in each that is cut short or has a byte changed.
func TestPathsAgree(t *testing.T) {
	t.Parallel()
	values := plainRecords(t)
	for _, c := range accepted {
		values = append(values, []byte(c.value))
	}
	for _, c := range rejected {
		values = append(values, []byte(c.value))
	}
	for _, value := range oddRecords {
		values = append(values, []byte(value))
	}
	plain := 0
	for i, value := range values {
		if comparePaths(t, value) {
			plain++
		}
		if len(value) > 1000 {
			continue
		}
		for at := i % 3; at < len(value); at += 3 {
			compareMembers(t, value[:at])
			for _, c := range []byte("\"\\{}[],: 0-.eE\x1f\x7f\x80\xc3nx") {
				changed := bytes.Clone(value)
				changed[at] = c
				compareMembers(t, changed)
			}
		}
	}
	if plain < len(values)/3 || plain == len(values) {
		t.Errorf("%d of %d records are plain: both paths should be compared", plain, len(values))
	}
}

// TestPathsAgreeOnAnyShape compares the paths on documents that a generator builds, plain but for a few oddities.
func TestPathsAgreeOnAnyShape(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := shapes{t, rapid.IntRange(0, 60).Draw(t, "oddity")}
		comparePaths(t, []byte(g.object(0, true)))
	})
}

// shapes draws JSON, and things close to it. One choice in about oddity is odd; none if that is 0.
type shapes struct {
	t      *rapid.T
	oddity int
}

func (g shapes) odd(usual string, odd ...string) string {
	if g.oddity > 0 && rapid.IntRange(0, g.oddity).Draw(g.t, "odd") == 0 {
		return rapid.SampledFrom(odd).Draw(g.t, "instead")
	}
	return usual
}

func (g shapes) space() string {
	return g.odd(rapid.SampledFrom([]string{"", "", " "}).Draw(g.t, "space"), "  ", "\n", "\t", "x")
}

func (g shapes) object(depth int, top bool) string {
	names := []string{"a", "b", "c", "é", "name with space", "", "longer than eight"}
	if top {
		names = append(names, "event_id", "account_id", "service_name", "usage_date", "usage_start", "cost_usd", "ingested_at", "source_revision",
			"region", "pricing_model", "tenant_id", "charge_category", "billing_period", "currency", "op", "Event_ID")
	}
	var b strings.Builder
	b.WriteString(g.odd("{", " {", "{ ", "["))
	some := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, len(names), rapid.ID).Draw(g.t, "names")
	for i, name := range some {
		if i > 0 {
			b.WriteString(g.odd(",", ", ", " ,", ",,", "") + g.space())
		}
		b.WriteString(g.odd(`"`+name+`"`, `"\u0061"`, `"a"`, name, "\"\xff\"") + g.odd(":", " :", "::") + g.space() + g.value(depth+1))
	}
	b.WriteString(g.odd("}", " }", ",}", "}}", "} "))
	return b.String()
}

func (g shapes) value(depth int) string {
	kinds := 6
	if depth > plainDepth+2 {
		kinds = 4
	}
	switch rapid.IntRange(0, kinds).Draw(g.t, "kind") {
	case 0, 1:
		return g.odd(`"`+rapid.SampledFrom([]string{"", "x", "0042", "2025-01-01", "2025-01-02T03:04:05Z", "longer than sixteen bytes", "ünï😀", "Credit", "acme"}).Draw(g.t, "text")+`"`,
			`"\n"`, `"\ud800"`, "\"\x01\"", "\"\xc3\"", `"`, `"\"`)
	case 2, 3:
		return g.odd(rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?`).Draw(g.t, "number"), "01", "1.", "+1", "1e5", "-", "1E-3", "0x1")
	case 4:
		return g.odd(rapid.SampledFrom([]string{"null", "true", "false"}).Draw(g.t, "literal"), "nul", "True", "nullnull")
	case 5:
		return g.object(depth, false)
	default:
		var items []string
		for range rapid.IntRange(0, 3).Draw(g.t, "items") {
			items = append(items, g.value(depth+1))
		}
		return g.odd("[", "[ ", "{") + strings.Join(items, g.odd(",", ", ", " ,")) + g.odd("]", ",]", "}", "]]")
	}
}

// FuzzPlain looks for a value on which the two paths differ.
func FuzzPlain(f *testing.F) {
	for _, value := range plainRecords(f) {
		f.Add(value)
	}
	for _, c := range accepted {
		f.Add([]byte(c.value))
	}
	for _, c := range rejected {
		if len(c.value) < 1000 {
			f.Add([]byte(c.value))
		}
	}
	for _, value := range oddRecords {
		f.Add([]byte(value))
	}
	f.Fuzz(func(t *testing.T, value []byte) { comparePaths(t, value) })
}
