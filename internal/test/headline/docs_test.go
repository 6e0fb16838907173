package headline

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the repository's.
const root = "../../.."

// pages are the documents of the repository, by name.
func pages(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/internals/*.md"} {
		names, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			texts[name] = string(text)
		}
	}
	if len(texts) < 5 {
		t.Fatalf("only %d documents", len(texts))
	}
	return texts
}

// TestDocsLinkToWhatExists: every relative link leads to a file, every make target named is one.
func TestDocsLinkToWhatExists(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)`)
	target := regexp.MustCompile("`make ([a-z][a-z-]*)")
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			}
		}
		for _, m := range target.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(string(makefile), "\n"+m[1]+":") {
				t.Errorf("%s names `make %s`, which is no target", name, m[1])
			}
		}
	}
}

// TestDocsNameTestsThatExist: a test that a document names as a guard is in the tree.
func TestDocsNameTestsThatExist(t *testing.T) {
	var code strings.Builder
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root:
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		code.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	word := regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w+`)
	for name, text := range pages(t) {
		for _, test := range word.FindAllString(text, -1) {
			if !strings.Contains(code.String(), "func "+test+"(") {
				t.Errorf("%s names %s, which is no test", name, test)
			}
		}
	}
}

// TestEveryAlertHasARemedy: docs/operations.md says what to do on each alert, and names no other.
func TestEveryAlertHasARemedy(t *testing.T) {
	rules, err := os.ReadFile(filepath.Join(root, "deploy/prometheus/alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	operations, err := os.ReadFile(filepath.Join(root, "docs/operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	alerts := map[string]bool{}
	for _, m := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(string(rules), -1) {
		alerts[m[1]] = true
		if !strings.Contains(string(operations), "`"+m[1]+"`") {
			t.Errorf("docs/operations.md does not say what to do on %s", m[1])
		}
	}
	for _, name := range regexp.MustCompile("`(Daybook[A-Z]\\w+)`").FindAllStringSubmatch(string(operations), -1) {
		if !alerts[name[1]] {
			t.Errorf("docs/operations.md names %s, which is no alert", name[1])
		}
	}
	if len(alerts) < 15 {
		t.Errorf("only %d alerts", len(alerts))
	}
}
