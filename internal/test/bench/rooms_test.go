package bench

import (
	"fmt"
	"os/exec"
	"regexp"
	"testing"
)

// Two rows are of one room of the house alone, which its own benchmark measures.

// rollup measures the fold of one large day.
func rollup(t *testing.T, r *report) {
	rate := benchmark(t, "./internal/publish", "^BenchmarkFoldDay$", "events/s", fmt.Sprintf("-bench.day=%d", *dayCount))
	r.add(row{what: "roll-up of one day, " + million(*dayCount), measured: thousands(rate), target: "≥ 5 M/s", verdict: judge(rate >= 5e6)})
}

// encode measures the writing of normalized events.
func encode(t *testing.T, r *report) {
	rate := benchmark(t, "./internal/lake", "^BenchmarkWriteEvents$/^rows=1048576$", "rows/cpu-s")
	r.add(row{what: "Parquet of normalized events", measured: thousands(rate) + " of CPU", target: "≥ 1 M rows a CPU second", verdict: judge(rate >= 1e6)})
}

// benchmark runs a package's benchmark and returns a figure of it.
func benchmark(t *testing.T, pkg, name, unit string, args ...string) float64 {
	t.Helper()
	c := exec.CommandContext(t.Context(), "go", append([]string{"test", pkg, "-run=^$", "-bench=" + name, "-benchtime=3x", "-timeout=1h", "-args"}, args...)...)
	c.Dir = root(t)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	found := regexp.MustCompile(`([0-9.e+]+) ` + regexp.QuoteMeta(unit)).FindSubmatch(out)
	if found == nil {
		t.Fatalf("%s printed no %s:\n%s", name, unit, out)
	}
	var value float64
	if _, err := fmt.Sscan(string(found[1]), &value); err != nil {
		t.Fatal(err)
	}
	return value
}
