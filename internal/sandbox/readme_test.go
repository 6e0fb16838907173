package sandbox

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadmeQuotesTheDemo: README quotes what the demonstration prints, but for its port and its directory.
func TestReadmeQuotesTheDemo(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "<!-- demo -->\n```\n")
	quoted, _, closed := strings.Cut(rest, "```\n")
	if !found || !closed {
		t.Fatal("README quotes no demonstration")
	}
	var out bytes.Buffer
	dir := filepath.Join(t.TempDir(), "demo")
	demo := Demo{Dir: dir, Out: &out, Log: slog.New(slog.DiscardHandler)}
	if err := demo.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	port := regexp.MustCompile(`127\.0\.0\.1:[0-9]+`)
	printed := port.ReplaceAllString(strings.ReplaceAll(out.String(), dir, "/tmp/daybook-demo"), "127.0.0.1:PORT")
	if quoted = port.ReplaceAllString(quoted, "127.0.0.1:PORT"); quoted != printed {
		t.Errorf("README quotes\n%s\nwhile the demonstration prints\n%s", quoted, printed)
	}
}
