package publish

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"daybook/internal/disk"
	"daybook/internal/lake"
)

// dimensionsDir has files of the default tenant, by name.
func dimensionsDir(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "default"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(root, "default", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// dimension is a released dimension as text: its columns, and a line for each value.
func (w *world) dimension(ds lake.Dataset) []string {
	w.t.Helper()
	columns, rows, err := w.series().ReadDimension(w.current(), ds)
	w.check(err)
	lines := []string{strings.Join(columns, ",")}
	for _, r := range rows {
		line := r.Key
		for _, cell := range r.Extra {
			if cell == nil {
				line += " NULL"
			} else {
				line += fmt.Sprintf(" %q", *cell)
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func TestOwnDimensions(t *testing.T) {
	dir := t.TempDir()
	w := newWorldOn(t, disk.OS(), dir)
	w.week()
	w.publish()
	if got := w.dimension(lake.DimAccount); !slices.Equal(got, []string{"", "a1", "a2"}) {
		t.Fatalf("without a file: %q", got)
	}

	// A file alone is a reason for a release, which changes no fact.
	facts := hashesOf(w.current(), lake.Events, lake.ServiceDays, lake.AccountDays, lake.Changes)
	before := inodes(t, w.series().Dir(1))
	w.cfg.Dimensions = dimensionsDir(t, map[string]string{
		"dim_account.csv": "\ufeffowner,account_id,cost centre\n\"Ada, Countess\",a1,007\nBob,a3,1\n",
		"notes.txt":       "not a dimension",
	})
	r := w.publish()
	if r.Changes != (lake.ChangeSummary{}) || r.Days != 0 {
		t.Fatalf("changes %+v, %d days", r.Changes, r.Days)
	}
	if got, want := w.dimension(lake.DimAccount), []string{"owner,cost centre", `a1 "Ada, Countess" "007"`, "a2 NULL NULL"}; !slices.Equal(got, want) {
		t.Fatalf("dim_account %q, want %q", got, want)
	}
	if got := hashesOf(w.current(), lake.Events, lake.ServiceDays, lake.AccountDays, lake.Changes); fmt.Sprint(got) != fmt.Sprint(facts) {
		t.Fatalf("facts %v, before %v", got, facts)
	}
	after := inodes(t, w.series().Dir(2))
	for name, inode := range before {
		if own := strings.HasPrefix(name, "dim_account") || strings.HasPrefix(name, "dim_region") || strings.HasPrefix(name, "dim_pricing") || name == "manifest.json"; !own && after[name] != inode {
			t.Errorf("%s is another file", name)
		}
	}
	w.nothing()

	// A new value has nulls; a value that is retracted and comes again keeps its cells.
	w.push(event("x", "a3", "compute", "2025-01-03", "1", 2), event("y", "a4", "compute", "2025-01-03", "1", 2))
	w.caughtUp()
	w.publish()
	if got, want := w.dimension(lake.DimAccount)[1:], []string{`a1 "Ada, Countess" "007"`, "a2 NULL NULL", `a3 "Bob" "1"`, "a4 NULL NULL"}; !slices.Equal(got, want) {
		t.Fatalf("dim_account %q, want %q", got, want)
	}

	// Without the flag, and without the file, a dimension stays as released.
	dims := w.cfg.Dimensions
	for _, w.cfg.Dimensions = range []string{"", dimensionsDir(t, nil)} {
		w.nothing()
	}
	w.push(event("z", "a5", "compute", "2025-01-03", "1", 2))
	w.caughtUp()
	w.publish()
	if got := w.dimension(lake.DimAccount); got[0] != "owner,cost centre" || got[1] != `a1 "Ada, Countess" "007"` || got[5] != "a5 NULL NULL" {
		t.Fatalf("dim_account without a file %q", got)
	}
	// A backfill changes no dimension.
	w.cfg.Dimensions = dimensionsDir(t, map[string]string{"dim_account.csv": "account_id\n"})
	_, err := w.publisher().Backfill(t.Context(), Window{day("2025-01-01"), day("2025-01-31")}, false)
	w.check(err)
	if got := w.dimension(lake.DimAccount); got[0] != "owner,cost centre" {
		t.Fatalf("dim_account after a backfill %q", got)
	}
	// A file with the key column only removes the other columns.
	w.publish()
	if got := w.dimension(lake.DimAccount); got[0] != "" || len(got) != 6 {
		t.Fatalf("dim_account %q", got)
	}
	w.cfg.Dimensions = dims
	w.publish()
	w.nothing()

	// A repeated and an empty key fail the gate, also when nothing else changed.
	w.cfg.Dimensions = dimensionsDir(t, map[string]string{
		"dim_account.csv": "account_id,owner\na1,Ada\n\"a2\",\"two\nlines\"\n,unknown\na1,Bob\n",
		"dim_service.csv": "service_name\ncompute\ncompute\n",
	})
	tr, err := w.run()
	if !errors.Is(err, ErrGate) {
		t.Fatalf("error %v, want ErrGate", err)
	}
	i := slices.IndexFunc(tr.Gates, func(g lake.GateResult) bool { return g.Gate == gateDimension })
	if want := []string{
		"dim_account.csv: line 5 has an empty account_id",
		`dim_account.csv: account_id "a1" is on lines 2 and 6`,
		`dim_service.csv: service_name "compute" is on lines 2 and 3`,
	}; !slices.Equal(tr.Gates[i].Detail, want) {
		t.Fatalf("gate says %q, want %q", tr.Gates[i].Detail, want)
	}
}

func TestDimensionFilesRefused(t *testing.T) {
	f := func(name, text, want string) {
		t.Helper()
		_, err := readDimensionFiles(dimensionsDir(t, map[string]string{name: text}), "default")
		if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s %q: %v, want %q", name, text, err, want)
		}
	}
	f("dim_acount.csv", "", "is of no dimension")
	f("daily_account_cost.csv", "", "is of no dimension")
	f("dim_account.csv", "", "it is empty")
	f("dim_account.csv", "account,owner\n", "no column account_id in the header: it has account, owner")
	f("dim_account.csv", "account_id,owner,Owner\n", `column "Owner" appears twice`)
	f("dim_account.csv", "account_id,Tenant_ID\n", "the tenant is that of the directory")
	f("dim_account.csv", "account_id,\n", "column 2 has no name")
	f("dim_account.csv", "account_id,owner\na1\n", "line 2")
	f("dim_account.csv", "account_id,owner\na1,\xff\n", `line 2: column "owner" is not UTF-8`)

	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "dim_account.csv"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readDimensionFiles(root, "acme"); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "acme/dim_account.csv") {
		t.Errorf("a file of no tenant: %v", err)
	}
	if _, err := readDimensionFiles(filepath.Join(root, "missing"), "acme"); !errors.Is(err, ErrUsage) {
		t.Errorf("a directory that is missing: %v", err)
	}
}
