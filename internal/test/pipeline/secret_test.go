package pipeline

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// TestSecretsAreNowhere gives the programs passwords by every way that there is, and looks for them
// in all that they say: help, errors of flags and files, logs at the most talkative level, status,
// metrics, and the dump of a process that is made to end as a panic does.
func TestSecretsAreNowhere(t *testing.T) {
	const right, wrong, slip = "canary-right-7f3a", "canary-wrong-91bc", "canary-slip-c04d"
	const topic = "billing"
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "anna", right), kfake.SeedTopics(1, topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	p := newPlace(t, cluster.ListenAddrs()[0], topic)
	file := func(name, text string) string {
		name = filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	var said strings.Builder
	say := func(program string, args []string, text string) {
		for _, canary := range []string{right, wrong, slip} {
			if strings.Contains(text, canary) {
				t.Errorf("%s %s says %s:\n%s", program, strings.Join(args, " "), canary, text)
			}
		}
		said.WriteString(text)
	}
	// do runs a program with a password in its environment and in no argument. One that tries again
	// for ever is interrupted; its exit code is its own affair.
	const endless = -1
	do := func(want int, password, program string, args ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), map[bool]time.Duration{false: time.Minute, true: 3 * time.Second}[want == endless])
		defer cancel()
		c := p.command(ctx, program, args...)
		c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
		c.Env = append(c.Env, "DAYBOOK_LOG_LEVEL=debug", "DAYBOOK_SASL=scram-sha-512", "DAYBOOK_SASL_USER=anna")
		if password != "" {
			c.Env = append(c.Env, "DAYBOOK_SASL_PASSWORD="+password)
		}
		out, _ := c.CombinedOutput()
		if got := c.ProcessState.ExitCode(); got != want && want != endless {
			t.Errorf("%s %s: exit code %d, want %d\n%s", program, strings.Join(args, " "), got, want, out)
		}
		say(program, args, string(out))
	}
	do(0, right, "ingest", "init")
	for _, program := range []string{"ingest", "publisher"} {
		do(0, right, program, "--help")
		do(2, right, program, "run", "--nonsense")
	}
	do(0, right, "ingest", "run", "--help")
	do(0, right, "ingest", "run", "--until-caught-up")
	do(0, "", "ingest", "run", "--until-caught-up", "--sasl-password-file="+file("right", right+"\n"))
	do(endless, wrong, "ingest", "run", "--until-caught-up")
	do(endless, "", "ingest", "run", "--until-caught-up", "--sasl-password-file="+file("wrong", wrong))
	do(2, right, "ingest", "run", "--sasl=oauth")
	do(2, right, "ingest", "run", "--brokers=nothing")
	do(2, right, "ingest", "run", "--config="+file("slip.yaml", "sasl-password: "+slip+"\n"))
	do(2, right, "ingest", "run", "--config="+file("slip.yaml", "run:\n  sasl-password: ["+slip+"\n"))
	do(1, right, "ingest", "run", "--tls", "--tls-cert="+file("cert.pem", slip), "--tls-key="+file("key.pem", slip))
	do(0, right, "ingest", "status", "--json")
	do(0, right, "ingest", "check")
	do(0, right, "publisher", "run")

	// A running one: its metrics, and its dump.
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	monitor := free.Addr().String()
	free.Close()
	run := p.command(t.Context(), "ingest", "run", "--monitor="+monitor, "--pprof")
	run.Env = append(run.Env, "DAYBOOK_LOG_LEVEL=debug", "DAYBOOK_SASL=scram-sha-512", "DAYBOOK_SASL_USER=anna",
		"DAYBOOK_SASL_PASSWORD="+right, "GOTRACEBACK=system")
	var out bytes.Buffer
	run.Stdout, run.Stderr = &out, &out
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	for range 600 {
		if _, err = p.consumed(t.Context()); err == nil {
			break
		}
		pause(t.Context(), 50*time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	do(0, right, "ingest", "status")
	for _, path := range []string{"/metrics", "/readyz", "/debug/pprof/goroutine?debug=2"} {
		r, err := http.Get("http://" + monitor + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || len(body) == 0 {
			t.Fatalf("%s: %d bytes, %v", path, len(body), err)
		}
		say("GET", []string{path}, string(body))
	}
	_ = run.Process.Signal(syscall.SIGQUIT)
	_ = run.Wait()
	say("ingest", []string{"run"}, out.String())
	if !strings.Contains(out.String(), "goroutine ") {
		t.Errorf("the dump is missing:\n%s", out.String())
	}
	for _, expected := range []string{"DAYBOOK_SASL_PASSWORD", "--sasl-password-file", "level=DEBUG", "anna"} {
		if !strings.Contains(said.String(), expected) {
			t.Errorf("nothing speaks of %q: was anything said?", expected)
		}
	}
}
