package bench

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

// machine says what the figures are of, a line each.
func machine(t *testing.T) []string {
	t.Helper()
	read := func(path, key string) string {
		text, _ := os.ReadFile(path)
		_, rest, _ := strings.Cut(string(text), key)
		line, _, _ := strings.Cut(rest, "\n")
		return strings.Trim(line, " \t:")
	}
	run := func(name string, args ...string) string {
		c := exec.Command(name, args...)
		c.Dir = root(t)
		out, _ := c.Output()
		return strings.TrimSpace(string(out))
	}
	modules := run("go", "list", "-m", "-f", "{{.Path}} {{.Version}}",
		"github.com/cockroachdb/pebble/v2", "github.com/parquet-go/parquet-go", "github.com/twmb/franz-go",
		"github.com/twmb/franz-go/pkg/kfake", "github.com/duckdb/duckdb-go/v2")
	load := "unknown"
	if fields := strings.Fields(read("/proc/loadavg", "")); len(fields) > 0 {
		load = fields[0]
	}
	return []string{
		fmt.Sprintf("%s, %d cores, %s memory, %s/%s, load %s at the start", read("/proc/cpuinfo", "model name"), runtime.NumCPU(),
			read("/proc/meminfo", "MemTotal"), runtime.GOOS, runtime.GOARCH, load),
		fmt.Sprintf("Daybook %s, %s, %s", run("git", "describe", "--always", "--dirty"), runtime.Version(), strings.ReplaceAll(modules, "\n", ", ")),
	}
}
