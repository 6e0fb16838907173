package produce

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"daybook/internal/billing"
)

func TestJoinedID(t *testing.T) {
	f := func(want string, cells ...string) {
		t.Helper()
		var parts []value
		for i := range cells {
			parts = append(parts, func(row []string) (string, error) { return row[i], nil })
		}
		got, err := joinedID(parts)(cells)
		if err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", cells, got, err, want)
		}
	}
	f("a|b", "a", "b")
	f("a||b", "a", "", "b")
	f(`a\|b|c`, "a|b", "c")
	f(`a|b\|c`, "a", "b|c")
	f(`a\\|b`, `a\`, "b")
	long, control := strings.Repeat("a", billing.MaxIDBytes+1), "a\tb"
	f("sha256:"+hexSum(long), long)
	f("sha256:"+hexSum(control), control)

	empty := func([]string) (string, error) { return "", nil }
	if id, err := joinedID([]value{empty, empty})(nil); !errors.Is(err, errBadRow) {
		t.Errorf("no column filled: got %q, %v", id, err)
	}
}

func hexSum(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }

// TestOrdinalsDependOnContentAlone: whatever the order of rows, and however
// they are spread over files, the same rows become the same events, each with
// an id of its own.
func TestOrdinalsDependOnContentAlone(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		row := rapid.Custom(func(t *rapid.T) string {
			return fmt.Sprintf("%d,%d,s,2025-01-0%d,%d", rapid.IntRange(1, 2).Draw(t, "id"), rapid.IntRange(1, 2).Draw(t, "account"),
				rapid.IntRange(1, 2).Draw(t, "day"), rapid.IntRange(1, 3).Draw(t, "cost"))
		})
		rows := rapid.SliceOfN(row, 1, 30).Draw(t, "rows")
		events := func(rows []string, cut int) []string {
			var files []string
			for i, part := range [][]string{rows[:cut], rows[cut:]} {
				file := filepath.Join(dir, fmt.Sprint(i))
				text := "item,account_id,service_name,usage_date,cost_usd\n" + strings.Join(part, "\n") + "\n"
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				files = append(files, file)
			}
			var out strings.Builder
			l := &Load{Files: files, Sink: NewPrinter(&out), Config: Config{ExportedAt: "2025-02-01", EventID: []string{"item", "account_id"}}}
			sum, err := l.Run(t.Context(), testNow)
			if err != nil || sum.BadRows > 0 {
				t.Fatalf("%+v, %v", sum, err)
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			slices.Sort(lines)
			return lines
		}
		first := events(rows, rapid.IntRange(0, len(rows)).Draw(t, "cut"))
		shuffled := rapid.Permutation(rows).Draw(t, "shuffled")
		second := events(shuffled, rapid.IntRange(0, len(rows)).Draw(t, "cut again"))
		if !slices.Equal(first, second) {
			t.Errorf("got\n%s\nand\n%s", strings.Join(first, "\n"), strings.Join(second, "\n"))
		}
		ids := map[string]bool{}
		for _, e := range first {
			id, _, _ := strings.Cut(e, `","`)
			if ids[id] {
				t.Errorf("%s stands for two rows", id)
			}
			ids[id] = true
		}
		if len(first) != len(rows) {
			t.Errorf("%d events of %d rows", len(first), len(rows))
		}
	})
}
