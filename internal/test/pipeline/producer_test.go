package pipeline

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"daybook/internal/test/testkafka"
)

// example is the first block of a language after a heading of docs/events.md.
func example(t *testing.T, heading, language string) string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(page), "\n## "+heading+"\n")
	_, block, found := strings.Cut(section, "\n```"+language+"\n")
	if !ok || !found {
		t.Fatalf("docs/events.md has no %q block under %q", language, heading)
	}
	code, _, _ := strings.Cut(block, "\n```")
	return code + "\n"
}

// arrived ingests and publishes what a producer wrote, and returns the totals as "account day".
func arrived(t *testing.T, addr, topic string) map[string]string {
	t.Helper()
	p := newPlace(t, addr, topic)
	p.run(t, "ingest", "init")
	p.run(t, "ingest", "run", "--until-caught-up")
	p.run(t, "publisher", "run")
	_, accounts, _ := released(t, p.lake)
	totals := map[string]string{}
	for at, c := range accounts {
		totals[at.Account+" "+at.Day] = c.usd
		if !c.complete {
			t.Errorf("%v is not complete", at)
		}
	}
	return totals
}

// outside runs a program that is not ours and returns what it printed on standard output.
func outside(t *testing.T, stdin, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, program, args...)
	var out, errs bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(stdin), &out, &errs
	c.WaitDelay = 5 * time.Second
	if err := c.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", filepath.Base(program), err, out.String(), errs.String())
	}
	return out.String()
}

// TestKafkaPythonExample runs the program of docs/events.md as it stands there.
func TestKafkaPythonExample(t *testing.T) {
	addr, topic := kafka(t, 4)
	program := filepath.Join(t.TempDir(), "produce.py")
	if err := os.WriteFile(program, []byte(example(t, "From Python", "python")), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := outside(t, "", testkafka.Python(t), program, addr, topic), "2 of 2 events written to "+topic+"\n"; got != want {
		t.Errorf("it printed %q, want %q", got, want)
	}
	got := arrived(t, addr, topic)
	if len(got) != 1 || got["004211223344 2025-01-03"] != "12.5000166667" {
		t.Errorf("released %v", got)
	}
}

// TestKafkaConsoleProducer runs the command of docs/events.md with Kafka's own
// console producer, of which kafka-console-producer.sh is a wrapper.
func TestKafkaConsoleProducer(t *testing.T) {
	addr, topic := kafka(t, 4)
	command := example(t, "From a console producer", "")
	parts := regexp.MustCompile(`(?s)^\$ printf '([^']*)' '([^']*)' \|\s+kafka-console-producer\.sh (.*)$`).FindStringSubmatch(command)
	if parts == nil {
		t.Fatalf("docs/events.md has another command: %s", command)
	}
	stdin := strings.NewReplacer(`\t`, "\t", `\n`, "\n", "%s", parts[2]).Replace(parts[1])
	args := strings.Fields(strings.NewReplacer("localhost:9092", addr, "--topic billing", "--topic "+topic).Replace(parts[3]))
	java := []string{"-XX:TieredStopAtLevel=1", "-cp", filepath.Join(testkafka.Libs(t), "*"), "org.apache.kafka.tools.ConsoleProducer"}
	outside(t, stdin, "java", append(java, args...)...)
	got := arrived(t, addr, topic)
	if len(got) != 1 || got["004211223344 2025-01-03"] != "12.5" {
		t.Errorf("released %v", got)
	}
}
