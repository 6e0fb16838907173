package pipeline

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/billing"
)

// operations is the page that quotes the drills.
const operations = "../../../docs/operations.md"

// week is what every drill begins with: a topic of two days, read and published.
const week = `{"tenant_id":"acme","event_id":"e1","account_id":"a1","service_name":"compute","usage_date":"2025-01-02","cost_usd":"10","ingested_at":"2025-01-03T01:00:00Z","owner":"jane@example.com"}
{"tenant_id":"acme","event_id":"e2","account_id":"a2","service_name":"compute","usage_date":"2025-01-02","cost_usd":"7","ingested_at":"2025-01-03T01:00:00Z","owner":"joe@example.com"}
{"tenant_id":"acme","event_id":"e3","account_id":"a1","service_name":"storage","usage_date":"2025-01-03","cost_usd":"5","ingested_at":"2025-01-04T01:00:00Z","owner":"jane@example.com"}
`

var update = flag.Bool("update", false, "rewrite the drills' output in "+operations)

// TestDrills runs every script of testdata/drills with the real programs. What is typed and what they print, in
// this order, is quoted in docs/operations.md after a line <!-- drill: NAME -->, and must be the same there.
func TestDrills(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	page, err := os.ReadFile(operations)
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	names, err := filepath.Glob("testdata/drills/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		drill := strings.TrimSuffix(filepath.Base(name), ".txtar")
		var d *drilling
		t.Run(drill, func(t *testing.T) {
			testscript.Run(t, testscript.Params{
				Files: []string{name},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"run": run, "fails": fails, "start": start, "await": await, "halt": halt, "say": say, "trim": trim, "damage": damage,
				},
				Setup: func(e *testscript.Env) error {
					d, err = newDrilling(t, e)
					return err
				},
			})
		})
		if t.Failed() {
			return
		}
		if text, err = d.quoteIn(text, drill); err != nil {
			t.Error(err)
		}
	}
	for _, quoted := range regexp.MustCompile(`(?m)^<!-- drill: (.*) -->$`).FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat("testdata/drills/" + quoted[1] + ".txtar"); err != nil {
			t.Errorf("%s quotes a drill that is not there: %v", operations, err)
		}
	}
	if text == string(page) || t.Failed() {
		return
	}
	if !*update {
		quoted, have := strings.Split(string(page), "\n"), strings.Split(text, "\n")
		at := 0
		for at < min(len(quoted), len(have))-1 && quoted[at] == have[at] {
			at++
		}
		t.Fatalf("%s quotes another output than the drills have, in line %d %q for %q; go test ./internal/test/pipeline -run TestDrills -update rewrites it",
			operations, at+1, quoted[at], have[at])
	}
	if err := os.WriteFile(operations, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// drillingKey is under which a script's drilling is found.
type drillingKey struct{}

// drilling is one drill: where it happens, and what was typed and printed.
type drilling struct {
	place
	work       string
	transcript bytes.Buffer
	running    *exec.Cmd
	ended      chan error
	stderr     bytes.Buffer // of what runs
}

func newDrilling(t *testing.T, e *testscript.Env) (*drilling, error) {
	d := &drilling{place: place{brokers: broker(t, "billing", 1), topic: "billing", state: e.WorkDir + "/state", lake: e.WorkDir + "/lake"}, work: e.WorkDir}
	e.Values[drillingKey{}] = d
	e.Defer(func() { _ = d.end(syscall.SIGKILL) })
	if err := os.WriteFile(e.WorkDir+"/week.jsonl", []byte(week), 0o600); err != nil {
		return nil, err
	}
	for _, args := range [][]string{{"ingest", "init"}, {"produce", "week.jsonl"}, {"ingest", "run", "--until-caught-up"}, {"publisher", "run"}} {
		if _, out, err := d.exec(args); err != nil {
			return nil, fmt.Errorf("%v: %w\n%s", args, err, out)
		}
	}
	return d, nil
}

func of(ts *testscript.TestScript) *drilling { return ts.Value(drillingKey{}).(*drilling) }

// program is a command in the drill's directory, with its settings in the environment.
func (d *drilling) program(ctx context.Context, args []string) *exec.Cmd {
	name := args[0]
	if _, err := os.Stat(filepath.Join(binaries, name)); err == nil {
		name = filepath.Join(binaries, name)
	}
	c := exec.CommandContext(ctx, name, args[1:]...)
	c.Dir = d.work
	c.Env = append(os.Environ(),
		"DAYBOOK_BROKERS="+d.brokers, "DAYBOOK_TOPIC="+d.topic, "DAYBOOK_STATE="+d.state, "DAYBOOK_LAKE="+d.lake,
		"DAYBOOK_MONITOR=", "DAYBOOK_LOG_LEVEL=error", "DAYBOOK_WATERMARK_INTERVAL=100ms", "DAYBOOK_LINGER=20ms", "USER=clerk",
	)
	c.WaitDelay = 5 * time.Second
	return c
}

// exec runs a command to its end and returns its exit code and what it printed.
func (d *drilling) exec(args []string) (code int, out string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var both bytes.Buffer
	c := d.program(ctx, args)
	c.Stdout, c.Stderr = &both, &both
	err = c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), both.String(), err
	}
	return 0, both.String(), err
}

// typed notes a command and its output.
func (d *drilling) typed(args []string, out string) {
	quoted := make([]string, len(args))
	for i, a := range args {
		if quoted[i] = a; strings.ContainsAny(a, " *>$&|;") {
			quoted[i] = "'" + a + "'"
		}
	}
	fmt.Fprintf(&d.transcript, "$ %s\n%s", strings.Join(quoted, " "), out)
}

// Run COMMAND… runs a command that must end with 0.
func run(ts *testscript.TestScript, _ bool, args []string) {
	d := of(ts)
	code, out, err := d.exec(args)
	ts.Logf("%s", out)
	if err != nil {
		ts.Fatalf("exit code %d: %v", code, err)
	}
	d.typed(args, out)
}

// fails CODE COMMAND… runs a command that must end with CODE.
func fails(ts *testscript.TestScript, _ bool, args []string) {
	d := of(ts)
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code, out, _ := d.exec(args[1:])
	ts.Logf("%s", out)
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
	d.typed(args[1:], fmt.Sprintf("%sexit code %d\n", out, code))
}

// start COMMAND… runs a command in the background.
func start(ts *testscript.TestScript, _ bool, args []string) {
	d := of(ts)
	c := d.program(context.Background(), args)
	c.Stderr = &d.stderr
	ts.Check(c.Start())
	d.running, d.ended = c, make(chan error, 1)
	go func() { d.ended <- c.Wait() }()
	fmt.Fprintf(&d.transcript, "$ %s &\n", strings.Join(args, " "))
}

// await PATTERN COMMAND… runs a command until it prints a match; it is not noted.
func await(ts *testscript.TestScript, _ bool, args []string) {
	d := of(ts)
	pattern := regexp.MustCompile(args[0])
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		code, out, _ := d.exec(args[1:])
		if pattern.MatchString(out) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no match for %s; exit code %d\n%s\n%s", args[0], code, out, d.stderr.String())
		}
	}
}

// halt ends what runs in the background, as an operator would. (testscript's own stop ends the script.)
func halt(ts *testscript.TestScript, _ bool, _ []string) { ts.Check(of(ts).end(syscall.SIGTERM)) }

// end sends a signal to what runs, and waits for it.
func (d *drilling) end(s os.Signal) error {
	if d.running == nil {
		return nil
	}
	err := d.running.Process.Signal(s)
	err = errors.Join(err, <-d.ended)
	d.running = nil
	return err
}

// say TEXT notes what happens in the world.
func say(ts *testscript.TestScript, _ bool, args []string) {
	fmt.Fprintf(&of(ts).transcript, "# %s\n", strings.Join(args, " "))
}

// trim OFFSET has the broker delete the records before an offset, as retention does.
func trim(ts *testscript.TestScript, _ bool, args []string) {
	d := of(ts)
	offset, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	cl, err := kgo.NewClient(kgo.SeedBrokers(d.brokers))
	ts.Check(err)
	defer cl.Close()
	offsets := kadm.Offsets{}
	offsets.AddOffset(d.topic, 0, offset, -1)
	_, err = kadm.NewClient(cl).DeleteRecords(context.Background(), offsets)
	ts.Check(err)
}

// damage flips a byte in the middle of the largest table of the state.
func damage(ts *testscript.TestScript, _ bool, _ []string) {
	tables, err := filepath.Glob(of(ts).state + "/db/*.sst")
	ts.Check(err)
	var largest string
	var data []byte
	for _, name := range tables {
		if one, err := os.ReadFile(name); err == nil && len(one) > len(data) {
			largest, data = name, one
		}
	}
	if largest == "" {
		ts.Fatalf("the state has no table")
	}
	data[len(data)/3] ^= 1
	ts.Check(os.WriteFile(largest, data, 0o600))
}

var (
	moment   = regexp.MustCompile(`\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?Z)?`)
	database = regexp.MustCompile(`\b[0-9a-f]{32}\b`)
	cluster  = regexp.MustCompile(`of cluster \S+`)
	mismatch = regexp.MustCompile(`file \d+: block \S+: (.*) mismatch \S+ != \S+;`)
	process  = regexp.MustCompile(`\(process \d+\)`)
)

// quoted is the transcript without what differs from run to run: places, ids, and the time, which
// in the page is always two in the morning of 2025-02-01.
func (d *drilling) quoted() string {
	s := strings.NewReplacer(d.work, "/srv/daybook", d.brokers, "kafka:9092").Replace(d.transcript.String())
	today := billing.DayOf(time.Now())
	s = moment.ReplaceAllStringFunc(s, func(text string) string {
		at, err := billing.ParseDay(text[:len(time.DateOnly)])
		if shift := at - today; err == nil && -10 <= shift && shift <= 10 {
			quoted := time.Date(2025, 2, 1+int(shift), 2, 0, 0, 0, time.UTC)
			if len(text) == len(time.DateOnly) {
				return quoted.Format(time.DateOnly)
			}
			return quoted.Format(time.RFC3339)
		}
		return text
	})
	s = database.ReplaceAllString(s, "20f1…")
	s = mismatch.ReplaceAllString(s, "file 000031: block 0/1146: $1 mismatch 606554a2 != a4ba4de3;")
	s = process.ReplaceAllString(s, "(process 4711)")
	return cluster.ReplaceAllString(s, "of cluster iW0O…")
}

// quoteIn puts the transcript where the page quotes the drill.
func (d *drilling) quoteIn(page, name string) (string, error) {
	before, rest, ok := strings.Cut(page, "<!-- drill: "+name+" -->\n```console\n")
	_, after, closed := strings.Cut(rest, "```\n")
	if !ok || !closed {
		return page, fmt.Errorf("%s does not quote the drill %s", operations, name)
	}
	return before + "<!-- drill: " + name + " -->\n```console\n" + d.quoted() + "```\n" + after, nil
}
