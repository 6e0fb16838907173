package pipeline

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestModesUnderAnyUmask: a process started with umask 000 makes nothing of a
// state that others than its user can reach, and nothing of a lake that others
// than user and group can read, or others than the user can change.
func TestModesUnderAnyUmask(t *testing.T) {
	const topic = "billing"
	addr := broker(t, topic, 1)
	p := newPlace(t, addr, topic)
	if err := os.Mkdir(p.state, 0o777); err != nil { // as a volume may be mounted
		t.Fatal(err)
	}
	if err := os.Chmod(p.state, 0o777); err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	value := []byte(`{"event_id":"e1","account_id":"a","service_name":"s","usage_date":"2025-01-01","cost_usd":1}`)
	if err := client.ProduceSync(t.Context(), &kgo.Record{Value: value}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	open := func(program string, args ...string) *exec.Cmd {
		c := p.command(t.Context(), "sh", append([]string{"-c", `umask 000; exec "$0" "$@"`, filepath.Join(binaries, program)}, args...)...)
		c.Path, c.Err = "/bin/sh", nil
		c.Stderr = os.Stderr
		return c
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(open("ingest", "init").Run())
	must(open("ingest", "run", "--until-caught-up").Run())
	must(open("publisher", "run").Run()) // which locks the state
	running := open("ingest", "run")
	must(running.Start())
	for range 600 {
		if _, err = p.consumed(t.Context()); err == nil {
			break
		}
		pause(t.Context(), 50e6)
	}
	must(err)
	value = []byte(`{"event_id":"e1","account_id":"a","service_name":"s","usage_date":"2025-01-01","cost_usd":2}`)
	must(client.ProduceSync(t.Context(), &kgo.Record{Value: value}).FirstErr())
	must(open("publisher", "run", "--wait=30s").Run()) // which asks ingest
	must(open("publisher", "keep", "1", "--label=x").Run())
	socket, err := os.Stat(filepath.Join(p.state, "ingest.sock"))
	must(err)
	if got := socket.Mode().Perm(); got != 0o600 {
		t.Errorf("the socket has mode %o", got)
	}
	inState := walk(t, p.state, func(path string, mode fs.FileMode) {
		switch inside, _ := filepath.Rel(p.state, path); {
		case inside == ".": // the operator's
		case mode.IsDir() && mode.Perm() != 0o700:
			t.Errorf("state: directory %s has mode %o", inside, mode.Perm())
		case mode.Perm()&0o027 != 0 || filepath.Dir(inside) == "." && mode.Perm()&0o077 != 0:
			t.Errorf("state: %s has mode %o", inside, mode.Perm())
		}
	})
	inLake := walk(t, p.lake, func(path string, mode fs.FileMode) {
		if mode&fs.ModeSymlink == 0 && (mode.IsDir() && mode.Perm() != 0o750 || mode.IsRegular() && mode.Perm() != 0o640) {
			t.Errorf("lake: %s has mode %o", path, mode.Perm())
		}
	})
	if inState < 5 || inLake < 20 {
		t.Errorf("only %d entries of the state and %d of the lake were looked at", inState, inLake)
	}
	must(running.Process.Signal(os.Interrupt))
	must(running.Wait())
}

// walk gives every entry to look, and says how many there were. Those that vanish meanwhile are no fault.
func walk(t *testing.T, root string, look func(path string, mode fs.FileMode)) (n int) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			if os.IsNotExist(err) {
				return nil
			}
			return err
		}
		info, err := e.Info()
		if os.IsNotExist(err) {
			return nil
		}
		if err == nil {
			n++
			look(path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
