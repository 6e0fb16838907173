package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// place is a configuration struct as a package would own it.
type place struct {
	Lake string `help:"Lake directory." default:"lake" env:"DAYBOOK_TEST_LAKE"`
	Keep int    `help:"Releases kept." default:"30" env:"DAYBOOK_TEST_KEEP"`
}

func (p *place) Validate() error {
	var faults []error
	if p.Keep < 1 {
		faults = append(faults, fmt.Errorf("--keep %d: want at least 1", p.Keep))
	}
	if p.Lake == "" {
		faults = append(faults, errors.New("--lake is empty"))
	}
	return errors.Join(faults...)
}

type showCommand struct {
	Place  place         `embed:""`
	Days   []string      `help:"Days."`
	AsOf   string        `help:"As of."`
	Wait   time.Duration `help:"Wait." default:"5s"`
	DryRun bool          `help:"Dry."`
	Number int           `arg:"" optional:""`
}

func (s *showCommand) Run(c *Context) error {
	_, err := fmt.Fprintf(c.Stdout, "lake=%s keep=%d days=%s as-of=%s wait=%s dry=%t number=%d\n",
		s.Place.Lake, s.Place.Keep, strings.Join(s.Days, "+"), s.AsOf, s.Wait, s.DryRun, s.Number)
	return err
}

type failCommand struct {
	Code int
}

func (f *failCommand) Run(c *Context) error {
	c.Log.Debug("quiet")
	c.Log.Info("loud")
	err := errors.Join(errors.New("first cause"), errors.New("second \x1b[31mcause"))
	if f.Code == 0 {
		return err
	}
	return fmt.Errorf("show release: %w", Exit(f.Code, err))
}

type grammar struct {
	Show showCommand `cmd:"" help:"Show."`
	Fail failCommand `cmd:"" help:"Fail."`
}

// call runs the test program and returns what it said.
func call(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = Main("tester", "A program for tests.", &grammar{}, args, &out, &errs)
	return code, out.String(), errs.String()
}

func file(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "daybook.yaml")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestPrecedence(t *testing.T) {
	config := file(t, "lake: from-file\nkeep: 12\nshow:\n  days: [2025-01-01, '2025-01-02']\n  as-of: 2025-01-03\n  wait: 1m\n  dry-run: true\n")
	f := func(want string, args ...string) {
		t.Helper()
		if code, out, errs := call(args...); code != 0 || out != want+"\n" {
			t.Errorf("%v: exit %d, %q, %q; want %q", args, code, out, errs, want)
		}
	}
	f("lake=lake keep=30 days= as-of= wait=5s dry=false number=0", "show")
	f("lake=from-file keep=12 days=2025-01-01+2025-01-02 as-of=2025-01-03 wait=1m0s dry=true number=7", "show", "--config", config, "7")
	t.Setenv("DAYBOOK_TEST_LAKE", "from-env")
	f("lake=from-env keep=12 days=2025-01-01+2025-01-02 as-of=2025-01-03 wait=1m0s dry=true number=0", "--config", config, "show")
	f("lake=from-flag keep=12 days=d as-of=2025-01-03 wait=1m0s dry=true number=0", "show", "--config", config, "--lake=from-flag", "--days=d")
	t.Setenv("DAYBOOK_CONFIG", config)
	t.Setenv("DAYBOOK_TEST_KEEP", "3")
	f("lake=from-env keep=3 days=2025-01-01+2025-01-02 as-of=2025-01-03 wait=1m0s dry=true number=0", "show")
}

func TestConfigScalarsStayText(t *testing.T) {
	config := file(t, "lake: 0123\nlog-format: json\n")
	if code, out, errs := call("show", "--config", config); code != 0 || !strings.HasPrefix(out, "lake=0123 ") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
}

func TestConfigFaults(t *testing.T) {
	f := func(content string, want ...string) {
		t.Helper()
		code, _, errs := call("show", "--config", file(t, content))
		if code != ExitUsage || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q: exit %d, %q", content, code, errs)
		}
		for _, w := range want {
			if !strings.Contains(errs, w) {
				t.Errorf("%q: %q does not say %q", content, errs, w)
			}
		}
	}
	f("laek: x\n", "line 1", "unknown key laek")
	f("show:\n  lake: x\n  colour: red\nfial: 1\n", "line 3: unknown key show.colour", "line 4: unknown key fial")
	f("keep: 1\nkeep: 2\n", "line 2", "twice")
	f("keep: many\n", "--keep")
	f("- lake\n", "keys and values")
	f("lake: [\n", "configuration file")
	f("keep: 0\nlake: ''\n", "--keep 0: want at least 1", "--lake is empty")
	if code, _, errs := call("show", "--config", "missing.yaml"); code != ExitUsage || !strings.Contains(errs, "missing.yaml") {
		t.Errorf("missing file: exit %d, %q", code, errs)
	}
	if code, _, errs := call("show", "--config", file(t, "")); code != 0 {
		t.Errorf("empty file: exit %d, %q", code, errs)
	}
}

func TestUsageErrorsAreOneLineWithRemedy(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		code, out, errs := call(args...)
		if code != ExitUsage || out != "" || strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "tester: ") {
			t.Errorf("%v: exit %d, stdout %q, stderr %q", args, code, out, errs)
		}
		if !strings.HasSuffix(errs, want+"\n") {
			t.Errorf("%v: %q does not end with %q", args, errs, want)
		}
	}
	f("see tester show --help", "show", "--nope")
	f("see tester --help")
	f("see tester --help", "nope")
	f("see tester show --help", "show", "--wait=soon")
	f("see tester show --help", "show", "--keep=0")
	f("see tester show --help", "show", "--log-format=xml")
}

func TestFailuresAndExitCodes(t *testing.T) {
	code, out, errs := call("fail")
	if code != ExitError || out != "" {
		t.Errorf("exit %d, stdout %q", code, out)
	}
	lines := strings.Split(strings.TrimSuffix(errs, "\n"), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "level=INFO msg=loud") {
		t.Fatalf("stderr %q", errs)
	}
	if lines[1] != `tester: first cause; second \x1b[31mcause` {
		t.Errorf("error line %q", lines[1])
	}
	for _, want := range []int{ExitUsage, ExitIncomplete, ExitGate, ExitLocked} {
		if code, _, errs := call("fail", fmt.Sprint("--code=", want), "--log-level=error"); code != want || strings.Count(errs, "\n") != 1 {
			t.Errorf("exit %d, want %d; %q", code, want, errs)
		}
	}
	if Exit(ExitGate, nil) != nil || ExitCode(nil) != ExitDone {
		t.Error("no error is not an exit")
	}
	if got := ExitCode(Exit(ExitGate, fmt.Errorf("x: %w", Exit(ExitLocked, os.ErrExist)))); got != ExitGate {
		t.Errorf("outermost Exit loses: %d", got)
	}
	if !errors.Is(Exit(ExitGate, os.ErrExist), os.ErrExist) {
		t.Error("Exit hides the cause")
	}
}

func TestLogFormats(t *testing.T) {
	_, _, errs := call("fail", "--log-format=json", "--log-level=debug")
	if !strings.Contains(errs, `"msg":"quiet"`) || !strings.Contains(errs, `Z","level":"INFO","msg":"loud"`) {
		t.Errorf("json log: %q", errs)
	}
}

func TestHelpAndVersion(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"show", "--help"}} {
		code, out, errs := call(args...)
		if code != 0 || errs != "" {
			t.Errorf("%v: exit %d, stderr %q", args, code, errs)
		}
		for _, want := range []string{"Usage: tester", "Exit codes:", "  5  locked by another process", "--log-level"} {
			if !strings.Contains(out, want) {
				t.Errorf("%v does not say %q:\n%s", args, want, out)
			}
		}
	}
	if code, out, _ := call("--version"); code != 0 || !strings.HasPrefix(out, "tester ") || strings.Count(out, "\n") != 1 {
		t.Errorf("--version: exit %d, %q", code, out)
	}
}
