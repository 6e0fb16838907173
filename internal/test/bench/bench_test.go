package bench

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The sizes. The defaults are those of `make bench-smoke`.
var (
	eventCount   = flag.Int64("bench.events", 10_000, "events of a row (5000000 for the targets)")
	stateCount   = flag.Int64("bench.state", 20_000, "events in the state at the end of the growing rows (50000000 for the targets)")
	dayCount     = flag.Int64("bench.day", 100_000, "events of the day that is rolled up (10000000 for the target)")
	journalCount = flag.Int64("bench.journal", 200, "unfolded journal entries at the start after kill -9 (19000 is as many as there can be)")
	roundCount   = flag.Int("bench.rounds", 1, "times that the first rows are measured; the median counts")
	curvesDir    = flag.String("bench.curves", "", "measure the curves instead of the table, and write them as JSON and PNG into this directory")
	documentFile = flag.String("bench.document", "", "write the table into this Markdown file, between its markers")
)

// Load is the same in all rows: accounts, days and the share of repeats.
const (
	accounts = 2000
	days     = 90
	repeats  = 0.02
)

// binaries is where the programs were built.
var binaries string

// TestMain is also the program that measures the ceiling: see ceilingEnv.
func TestMain(m *testing.M) {
	if job := os.Getenv(ceilingEnv); job != "" {
		if err := ceiling(job); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(withPrograms(m))
}

// withPrograms builds the programs once and runs the tests.
func withPrograms(m *testing.M) int {
	flag.Parse()
	dir, err := os.MkdirTemp("", "daybook-bench-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binaries = dir
	build := exec.Command("go", "build", "-trimpath", "-o", dir, "daybook/cmd/ingest", "daybook/cmd/publisher", "daybook/cmd/produce", "daybook/cmd/sandbox")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the programs: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// root is the project's directory.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
