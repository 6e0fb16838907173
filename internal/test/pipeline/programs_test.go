package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// binaries is where the programs were built.
var binaries string

// TestMain builds the programs once.
func TestMain(m *testing.M) { os.Exit(withPrograms(m)) }

func withPrograms(m *testing.M) int {
	dir, err := os.MkdirTemp("", "daybook-pipeline-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binaries = dir
	build := exec.Command("go", "build", "-o", dir, "daybook/cmd/ingest", "daybook/cmd/publisher", "daybook/cmd/produce")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the programs: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// place is a state and a lake, and the topic that they are of.
type place struct {
	brokers, topic, state, lake string
}

func newPlace(t *testing.T, brokers, topic string) place {
	dir := t.TempDir()
	return place{brokers: brokers, topic: topic, state: filepath.Join(dir, "state"), lake: filepath.Join(dir, "lake")}
}

// command is a program with the place's settings in its environment.
func (p place) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, filepath.Join(binaries, program), args...)
	c.Env = append(os.Environ(),
		"DAYBOOK_BROKERS="+p.brokers, "DAYBOOK_TOPIC="+p.topic, "DAYBOOK_STATE="+p.state, "DAYBOOK_LAKE="+p.lake,
		"DAYBOOK_MONITOR=", "DAYBOOK_LOG_LEVEL=warn", "TZ=Asia/Kolkata",
	)
	c.WaitDelay = time.Minute // a busy machine may take that long to copy what a process left in its pipe
	return c
}

// run runs a program to its end and returns what it printed; any exit code but 0 ends the test.
func (p place) run(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, errs, code := p.exit(t, program, args...)
	if code != 0 {
		t.Fatalf("%s %s: exit code %d\n%s%s", program, strings.Join(args, " "), code, out, errs)
	}
	return out
}

// exit runs a program to its end.
func (p place) exit(t *testing.T, program string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := p.command(ctx, program, args...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", program, err)
	}
	return out.String(), errs.String(), c.ProcessState.ExitCode()
}
