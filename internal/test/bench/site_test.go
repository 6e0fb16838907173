package bench

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"daybook/internal/produce"
)

// broker starts an embedded broker in a process of its own, which ends with the
// test, and returns its address.
func broker(t *testing.T, dir string) string {
	t.Helper()
	c := exec.Command(filepath.Join(binaries, "sandbox"), "broker", "--port=0", "--no-sync", "--data="+filepath.Join(dir, "broker"), "--topic=unused:1")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		if err := c.Wait(); err != nil {
			t.Errorf("broker: %v", err)
		}
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, rest, ok := strings.Cut(lines.Text(), "listening on "); ok {
			addr, _, _ := strings.Cut(rest, " ")
			go func() { // the pipe must not fill
				for lines.Scan() {
				}
			}()
			return addr
		}
	}
	t.Fatal("the broker did not say where it listens")
	return ""
}

// site is a topic, a state and a lake.
type site struct {
	t           *testing.T
	brokers     string
	topic       string
	dir         string
	state, lake string
	records     int64 // in the topic
}

// newSite makes a topic of its own, with a state that has read nothing.
func newSite(t *testing.T, brokers, dir, name string, partitions int) *site {
	t.Helper()
	s := &site{t: t, brokers: brokers, topic: name, dir: filepath.Join(dir, name)}
	s.state, s.lake = filepath.Join(s.dir, "state"), filepath.Join(s.dir, "lake")
	makeDir(t, s.dir)
	s.run("produce", "--generate", "--count=1", "--rate=1000", "--create-partitions="+fmt.Sprint(partitions), "--seed=999999")
	s.records++
	s.run("ingest", "init")
	return s
}

func makeDir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
}

// close removes the state and the lake.
func (s *site) close() {
	if err := os.RemoveAll(s.dir); err != nil {
		s.t.Error(err)
	}
}

// command is a program with the site's settings in its environment.
func (s *site) command(program string, args ...string) *exec.Cmd {
	c := exec.CommandContext(s.t.Context(), filepath.Join(binaries, program), args...)
	c.Env = append(os.Environ(),
		"DAYBOOK_BROKERS="+s.brokers, "DAYBOOK_TOPIC="+s.topic, "DAYBOOK_STATE="+s.state, "DAYBOOK_LAKE="+s.lake,
		"DAYBOOK_MONITOR=", "DAYBOOK_LOG_LEVEL=warn", "DAYBOOK_GROUP=",
	)
	return c
}

// run runs a program to its end.
func (s *site) run(program string, args ...string) usage {
	s.t.Helper()
	return measure(s.t, s.command(program, args...))
}

// ingest reads what is in the topic.
func (s *site) ingest(args ...string) usage {
	s.t.Helper()
	return s.run("ingest", append([]string{"run", "--until-caught-up"}, args...)...)
}

// publish makes a release of all days.
func (s *site) publish() usage {
	s.t.Helper()
	return s.run("publisher", "run")
}

// load is synthetic load of the shape that all rows share, but for what a row changes.
func load(count int64, seed uint64, change func(*produce.GeneratorConfig)) produce.GeneratorConfig {
	c := produce.GeneratorConfig{
		Count: count, Seed: seed, Tenants: 1, Accounts: accounts, From: "2025-01-01", Days: days,
		EventBytes: 300, IDs: produce.RandomIDs, Duplicate: repeats,
	}
	if change != nil {
		change(&c)
	}
	return c
}

// flags are the arguments of produce that make this load.
func flags(c produce.GeneratorConfig) []string {
	return []string{
		"--generate", fmt.Sprintf("--count=%d", c.Count), fmt.Sprintf("--seed=%d", c.Seed), fmt.Sprintf("--accounts=%d", c.Accounts),
		"--from=" + c.From, fmt.Sprintf("--days=%d", c.Days), fmt.Sprintf("--event-bytes=%d", c.EventBytes), "--ids=" + string(c.IDs),
		fmt.Sprintf("--late=%g", c.Late), fmt.Sprintf("--corrected=%g", c.Corrected), fmt.Sprintf("--moved=%g", c.Moved),
		fmt.Sprintf("--duplicate=%g", c.Duplicate), fmt.Sprintf("--broken=%g", c.Broken),
	}
}

// push adds load to the topic.
func (s *site) push(c produce.GeneratorConfig) {
	s.t.Helper()
	s.run("produce", flags(c)...)
	s.records += c.Count
}

// pushFile adds the events of a file to the topic.
func (s *site) pushFile(path string, count int) {
	s.t.Helper()
	s.run("produce", path)
	s.records += int64(count)
}

// lines writes the load as a file of JSON lines.
func (s *site) lines(c produce.GeneratorConfig) string {
	s.t.Helper()
	path := filepath.Join(s.dir, "events.jsonl")
	f, err := os.Create(path)
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := s.command("produce", append(flags(c), "--dry-run")...)
	cmd.Stdout = f
	measure(s.t, cmd)
	if err := f.Close(); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// firstRecord starts ingest, ends it once it has made a record durable, and returns how long that took.
func (s *site) firstRecord() time.Duration {
	s.t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	addr := free.Addr().String()
	if err := free.Close(); err != nil {
		s.t.Fatal(err)
	}
	c := s.command("ingest", "run", "--monitor="+addr)
	began := time.Now()
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	for deadline := began.Add(time.Minute); !applied(addr); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			_ = c.Process.Kill()
			s.t.Fatal("no record within a minute")
		}
	}
	took := time.Since(began)
	if err := errors.Join(c.Process.Signal(syscall.SIGTERM), c.Wait()); err != nil {
		s.t.Fatal(err)
	}
	return took
}

// applied reports whether the ingest that serves its metrics at addr has made a record durable.
func applied(addr string) bool {
	r, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		return false
	}
	defer func() { _ = r.Body.Close() }()
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if strings.HasPrefix(name, "daybook_ingest_records_total{") && value != "0" {
			return true
		}
	}
	return false
}

// kill starts ingest, kills it -9 once it writes, and returns when it is gone.
func (s *site) kill() {
	s.t.Helper()
	c := s.command("ingest", "run")
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	before := size(s.t, s.state)
	for deadline := time.Now().Add(time.Minute); size(s.t, s.state) == before && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if err := c.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	if err := c.Wait(); err == nil {
		s.t.Fatal("ingest ended by itself")
	}
}
