package decode

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"daybook/internal/billing"
)

func readDoc(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// docs/events.md lists every reason, in the order of the checks, with its doc comment in billing.
func TestDocsListEveryReason(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "../billing/reason.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	meanings := map[billing.Reason]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
				name, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				meanings[billing.Reason(name)] = strings.TrimSpace(spec.Doc.Text())
			}
		}
		return true
	})
	var want []string
	for _, r := range billing.Reasons() {
		want = append(want, "| `"+string(r)+"` | "+meanings[r]+" |")
	}
	doc := readDoc(t, "events.md")
	_, table, found := strings.Cut(doc, "| reason | when |\n|---|---|\n")
	if !found {
		t.Fatal("docs/events.md has no table of reasons")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	if got := strings.Split(table, "\n"); !slices.Equal(got, want) {
		t.Errorf("the table of reasons in docs/events.md must be:\n%s", strings.Join(want, "\n"))
	}
}

// docs/events.md and the schema name the fields that the decoder knows, and no others.
func TestDocsNameEveryField(t *testing.T) {
	t.Parallel()
	doc := readDoc(t, "events.md")
	_, table, _ := strings.Cut(doc, "| field | | rule |\n|---|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	named := map[string]bool{}
	for _, row := range strings.Split(table, "\n") {
		cell, _, _ := strings.Cut(strings.TrimPrefix(row, "|"), "|")
		for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cell, -1) {
			named[m[1]] = true
		}
	}
	var schema struct {
		Properties map[string]any `json:"properties"`
		Else       struct {
			Properties map[string]any `json:"properties"`
		} `json:"else"`
	}
	if err := json.Unmarshal([]byte(readDoc(t, "event.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	inSchema := map[string]bool{}
	for name := range schema.Properties {
		inSchema[name] = true
	}
	for name := range schema.Else.Properties {
		inSchema[name] = true
	}
	if len(named) != int(memberCount) || len(inSchema) != int(memberCount) {
		t.Errorf("%d fields in docs/events.md, %d in the schema, %d in the decoder", len(named), len(inSchema), memberCount)
	}
	for _, names := range []map[string]bool{named, inSchema} {
		for name := range names {
			if memberOf([]byte(name)) == unmodelled {
				t.Errorf("the decoder does not know %s", name)
			}
		}
	}
}

// The decoder gives the examples of docs/events.md the verdicts that the page gives.
func TestDocsExamples(t *testing.T) {
	t.Parallel()
	_, table, _ := strings.Cut(readDoc(t, "events.md"), "| value | verdict |\n|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	row := regexp.MustCompile("^\\| `(.*)` \\| `?([a-z_]+)`? \\|$")
	for _, line := range strings.Split(table, "\n") {
		m := row.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("not an example: %s", line)
			continue
		}
		var e billing.Event
		verdict := "accepted"
		if _, rej := New(billing.DefaultRules()).Decode(record(m[1]), &e); rej != nil {
			verdict = string(rej.Reason)
		}
		if verdict != m[2] {
			t.Errorf("%s: %s, the page says %s", m[1], verdict, m[2])
		}
	}
	for _, block := range regexp.MustCompile("(?s)```json\n(.*?)\n```").FindAllStringSubmatch(readDoc(t, "events.md"), -1) {
		var e billing.Event
		if _, rej := New(billing.DefaultRules()).Decode(record(block[1]), &e); rej != nil {
			t.Errorf("%s: %v", block[1], rej)
		}
	}
}

func schema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	text, err := jsonschema.UnmarshalJSON(strings.NewReader(readDoc(t, "event.schema.json")))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("event.schema.json", text); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("event.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validates reports whether a value is valid by the schema; parsed reports whether the schema's reader accepts
// its JSON.
func validates(s *jsonschema.Schema, value []byte) (valid, parsed bool) {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		return false, false
	}
	return s.Validate(v) == nil, true
}

// Every value that the decoder accepts is valid by the schema. Every value that it rejects is not, except for
// rules that a schema cannot express, which are listed here and on the page.
func TestSchemaAgreesWithDecoder(t *testing.T) {
	t.Parallel()
	s := schema(t)
	for _, c := range accepted {
		if valid, _ := validates(s, []byte(c.value)); !valid {
			t.Errorf("%s: accepted, but not valid: %.200s", c.name, c.value)
		}
	}
	beyond := map[billing.Reason]bool{
		// Of the text, which a schema does not see.
		billing.JSONDuplicateKey: true, billing.JSONTooDeep: true, billing.JSONInvalidUTF8: true,
		// Of two fields together, or of the record's timestamp.
		billing.IngestedAtConflict: true, billing.UsageDateConflict: true, billing.IngestedAtFuture: true, billing.UsageDateFuture: true,
		// Of the tenant's policy.
		billing.CostNegative: true, billing.CostNegativeUnlabelled: true,
	}
	// Of the calendar, the range of text, lengths in bytes.
	samples := []string{
		with("usage_date", `"2025-02-29"`), with("ingestion_date", `"1969-12-31"`), with("cost_usd", `"-1e999999999999"`),
		with("account_id", `"`+strings.Repeat("é", 129)+`"`),
	}
	for _, c := range rejected {
		valid, parsed := validates(s, []byte(c.value))
		if want := beyond[c.reason] || slices.Contains(samples, c.value); parsed && valid != want {
			t.Errorf("%s: valid %t, want %t: %.200s", c.reason, valid, want, c.value)
		}
	}
}
