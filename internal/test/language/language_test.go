// Package language checks the English of the project: comments, messages and documents use plain technical terms,
// in lines that fit a screen. The list of words is short; each was once used for something that has a standard
// term.
package language

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	root       = "../../.."
	maxColumns = 120
)

// banned are words and what to write instead.
var banned = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{word(`anew`), "again, from scratch"},
	{word(`in hand`), "current, held in memory"},
	{word(`comes? to|came to|comes? of|came of`), "is, results from"},
	{word(`(is|are|be|was|were) told from`), "is distinguished from"},
	{word(`of which others`), "name the others"},
	{word(`(it|that) is said`), "say who says it, or what is printed"},
	{word(`by and by`), "gradually, concurrently"},
	{word(`passe?[sd]? over`), "skip"},
	{word(`tak(es?|en|ing) over|took over`), "reuse, copy, ingest"},
	{word(`beginnings? in common|common beginnings?`), "common prefix"},
	{word(`(lies?|lay|lain) (in|on|at|there|beside|where|among|still|under|below|before|after)`), "is, is stored"},
	{word(`nobody|somebody`), "name the actor"},
	{word(`mend(s|ed|ing)?`), "fix, repair"},
	{word(`made anew`), "recreated"},
	{word(`shelf|shelves`), "name the releases"},
	{word(`the books`), "tables, totals, numbers"},
	{word(`beside the old one`), "next to the old one"},
	{word(`of its own accord|by itself alone`), "automatically"},
	{word(`held up`), "delayed"},
	{word(`looks? at whether`), "checks whether"},
}

func word(pattern string) *regexp.Regexp { return regexp.MustCompile(`(?i)\b(` + pattern + `)\b`) }

// file is a text of the project.
type file struct{ path, text string }

// files are those under root whose names end in ending.
func files(t *testing.T, ending string) (found []file) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != root || d.Name() == "bin" || d.Name() == "testdata"):
			return fs.SkipDir
		case !strings.HasSuffix(path, ending) || filepath.Base(path) == "language_test.go" || filepath.Base(path) == "CHANGELOG.md":
			return nil
		}
		text, err := os.ReadFile(path)
		found = append(found, file{strings.TrimPrefix(path, root+"/"), string(text)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 10 {
		t.Fatalf("only %d files end in %s", len(found), ending)
	}
	return found
}

// checkWords reports banned words of a text whose first line has the given number.
func checkWords(t *testing.T, path, text string, line int) {
	t.Helper()
	for i, s := range strings.Split(text, "\n") {
		for _, b := range banned {
			if found := b.pattern.FindString(s); found != "" {
				t.Errorf("%s:%d: %q: write %s", path, line+i, found, b.instead)
			}
		}
	}
}

// TestWordsOfCode: comments and string literals of Go files use none of the banned words.
func TestWordsOfCode(t *testing.T) {
	for _, f := range files(t, ".go") {
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, f.path, f.text, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, group := range tree.Comments {
			for _, c := range group.List {
				checkWords(t, f.path, c.Text, set.Position(c.Pos()).Line)
			}
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			if s, ok := n.(*ast.BasicLit); ok && s.Kind == token.STRING {
				checkWords(t, f.path, s.Value, set.Position(s.Pos()).Line)
			}
			return true
		})
	}
}

// TestWordsOfDocuments: documents use none of the banned words.
func TestWordsOfDocuments(t *testing.T) {
	for _, f := range files(t, ".md") {
		checkWords(t, f.path, f.text, 1)
	}
}

// TestLinesFitAScreen: comments of Go files and prose of documents have at most 120 columns. Tables, links and what
// is quoted between fences may be longer.
func TestLinesFitAScreen(t *testing.T) {
	for _, f := range files(t, ".go") {
		for i, s := range strings.Split(f.text, "\n") {
			comment := strings.Index(s, "//")
			if comment >= 0 && columns(s) > maxColumns && strings.TrimSpace(s[:comment]) == "" && !strings.Contains(s, "http") {
				t.Errorf("%s:%d: a comment of %d columns", f.path, i+1, columns(s))
			}
		}
	}
	for _, f := range files(t, ".md") {
		fenced := false
		for i, s := range strings.Split(f.text, "\n") {
			if strings.HasPrefix(strings.TrimSpace(s), "```") {
				fenced = !fenced
			}
			if !fenced && columns(s) > maxColumns && !strings.HasPrefix(s, "|") && !strings.HasPrefix(s, "![") && !strings.Contains(s, "http") {
				t.Errorf("%s:%d: a line of %d columns", f.path, i+1, columns(s))
			}
		}
	}
}

// columns is the width of a line, a tab counted as four.
func columns(s string) int {
	return utf8.RuneCountInString(s) + 3*strings.Count(s, "\t")
}
