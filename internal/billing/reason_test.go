package billing

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Every constant in reason.go is in Reasons, in the same order, has a doc comment of one line, and can be a
// metric label.
func TestReasonsAreAllListed(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var declared []Reason
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		lit, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		text, err := strconv.Unquote(lit.Value)
		if err != nil {
			t.Fatal(err)
		}
		if doc := strings.TrimSpace(spec.Doc.Text()); doc == "" || strings.Contains(doc, "\n") || !strings.HasSuffix(doc, ".") {
			t.Errorf("%s: its doc must be one line that ends in a full stop: %q", text, doc)
		}
		declared = append(declared, Reason(text))
		return true
	})
	if got := Reasons(); !slices.Equal(got, declared) {
		t.Errorf("Reasons() = %v\ndeclared: %v", got, declared)
	}
	label := regexp.MustCompile(`^[a-z]+(_[a-z0-9]+)*$`)
	for i, r := range declared {
		if !label.MatchString(string(r)) || slices.Contains(declared[:i], r) {
			t.Errorf("%q is no label, or not the only one", r)
		}
	}
}
