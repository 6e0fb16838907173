package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"daybook/internal/control"
	"daybook/internal/state"
)

// smallDisk makes dir a file system of its own that holds size, until the test ends. It needs root.
func smallDisk(t *testing.T, dir, size string) {
	t.Helper()
	mount(t, dir, "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir)
}

// realDisk makes dir an ext4 of its own, on a loop device. It needs root and mkfs.ext4.
func realDisk(t *testing.T, dir string) {
	t.Helper()
	image := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 256<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "mkfs.ext4", "-q", image).CombinedOutput(); err != nil {
		t.Skipf("no file system of its own here: mkfs.ext4: %v %s", err, out)
	}
	mount(t, dir, "-o", "loop", image, dir)
}

func mount(t *testing.T, dir string, args ...string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "mount", args...).CombinedOutput(); err != nil {
		t.Skipf("no file system of its own here: mount %s: %v %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("umount %s: %v %s", dir, err, out)
		}
	})
}

// fill leaves no byte free on the file system of dir and returns what gives the space back.
func fill(t *testing.T, dir string) (empty func()) {
	t.Helper()
	name := filepath.Join(dir, "ballast")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 1<<16); len(block) > 0; {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2]
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

// background is an ingest that runs.
type background struct {
	*exec.Cmd
	stderr bytes.Buffer
}

// background starts an ingest and returns once it listens.
func (p place) background(t *testing.T) *background {
	t.Helper()
	b := &background{Cmd: p.command(context.Background(), "ingest", "run", "--watermark-interval=50ms", "--linger=20ms")}
	b.Stderr = &b.stderr
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Process.Kill() })
	p.await(t, b, func(l control.Live) bool { return l.Ready })
	return b
}

// await waits until what the running ingest says of itself is as wanted.
func (p place) await(t *testing.T, b *background, want func(control.Live) bool) {
	t.Helper()
	var last error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var live control.Live
		client, err := control.Dial(t.Context(), p.state)
		if err == nil {
			live, err = client.Live(t.Context())
			err = errors.Join(err, client.Close())
		}
		if last = err; err == nil && want(live) {
			return
		}
	}
	t.Fatalf("ingest does not reach the wanted state: %v\n%s", last, b.stderr.String())
}

// stop ends it as an operator would.
func (b *background) stop(t *testing.T) {
	t.Helper()
	if err := errors.Join(b.Process.Signal(syscall.SIGTERM), b.Wait()); err != nil {
		t.Fatalf("stop ingest: %v\n%s", err, b.stderr.String())
	}
}

// oneLine holds a failure against what an operator needs: one line, with these words in it.
func oneLine(t *testing.T, stderr string, words ...string) {
	t.Helper()
	if strings.Count(stderr, "\n") != 1 || len(stderr) > 500 {
		t.Errorf("not one line:\n%s", stderr)
	}
	for _, w := range words {
		if !strings.Contains(stderr, w) {
			t.Errorf("%q is not in: %s", w, stderr)
		}
	}
}

// place of a topic with some events; the state is made, and on disk what prepare wants.
func prepared(t *testing.T, prepare func(p place)) place {
	t.Helper()
	if testing.Short() {
		t.Skip("starts many processes")
	}
	p := newPlace(t, broker(t, "billing", 1), "billing")
	if prepare != nil {
		prepare(p)
	}
	p.run(t, "ingest", "init")
	p.produce(t, week)
	p.run(t, "ingest", "run", "--until-caught-up")
	return p
}

func (p place) produce(t *testing.T, lines string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "events.jsonl")
	if err := os.WriteFile(name, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	p.run(t, "produce", name)
}

// A full disk under the state ends ingest, and the publisher, with the cause. With space again both go on, and
// nothing was lost.
func TestFullDiskUnderTheState(t *testing.T) {
	p := prepared(t, func(p place) { smallDisk(t, p.state, "64m") })
	b := p.background(t)
	ended := make(chan error, 1)
	go func() { ended <- b.Wait() }()
	var empty func()
	var err error
	pushed := 3
	for running := true; running; pushed += 1000 {
		// Again and again: the storage gives space back that it does not need any more.
		empty = fill(t, p.state)
		p.run(t, "produce", "--generate", "--count=1000", "--event-bytes=300", "--from=2025-01-01", "--days=3", fmt.Sprintf("--seed=%d", pushed))
		select {
		case err = <-ended:
			running = false
		case <-time.After(100 * time.Millisecond):
		}
		if pushed > 200_000 {
			t.Fatal("the disk does not get full")
		}
	}
	if code := b.ProcessState.ExitCode(); code != 1 || !strings.Contains(b.stderr.String(), "no space left on device") {
		t.Errorf("on a full disk ingest ended with %d (%v)\n%s", code, err, b.stderr.String())
	}
	if strings.Contains(b.stderr.String(), "stack trace") {
		t.Errorf("a stack trace in the log:\n%s", b.stderr.String())
	}
	_, stderr, code := p.exit(t, "publisher", "run")
	if code != 1 || !strings.Contains(stderr, "no space left on device") {
		t.Errorf("on a full disk publisher ended with %d\n%s", code, stderr)
	}
	empty()
	p.run(t, "ingest", "run", "--until-caught-up")
	if got := delivered(t, p.state); got != int64(pushed) {
		t.Errorf("%d records after the disk had space again, want %d", got, pushed)
	}
	p.run(t, "ingest", "check")
	p.run(t, "publisher", "run")
	p.run(t, "publisher", "verify")
}

// A full disk under the lake ends the publisher with the cause; the newest release stays, nothing of the next one
// is left behind, and with space the next run publishes.
func TestFullDiskUnderTheLake(t *testing.T) {
	p := prepared(t, func(p place) { smallDisk(t, p.lake, "4m") })
	p.run(t, "publisher", "run")
	before := p.run(t, "publisher", "path")
	p.produce(t, `{"tenant_id":"acme","event_id":"e1","account_id":"a1","service_name":"compute","usage_date":"2025-01-02","cost_usd":"11","ingested_at":"2025-01-05T01:00:00Z"}`+"\n")
	p.run(t, "ingest", "run", "--until-caught-up")
	empty := fill(t, p.lake)
	_, stderr, code := p.exit(t, "publisher", "run")
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	oneLine(t, stderr, "no space left on device")
	if after := p.run(t, "publisher", "path"); after != before {
		t.Errorf("the newest release is %s, was %s", after, before)
	}
	if names, err := os.ReadDir(filepath.Join(p.lake, "acme", "tmp")); err != nil || len(names) != 0 {
		t.Errorf("left behind: %v, %v", names, err)
	}
	p.run(t, "publisher", "verify")
	empty()
	if out := p.run(t, "publisher", "run"); !strings.Contains(out, "release 2") {
		t.Errorf("after the disk had space again: %s", out)
	}
}

// Directories that cannot be written are named, and what is there stays readable.
func TestReadOnlyDisks(t *testing.T) {
	p := prepared(t, func(p place) { smallDisk(t, p.state, "64m"); smallDisk(t, p.lake, "4m") })
	p.run(t, "publisher", "run")
	for _, dir := range []string{p.state, p.lake} {
		if out, err := exec.CommandContext(t.Context(), "mount", "-o", "remount,ro", dir).CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	for _, args := range [][]string{{"ingest", "run", "--until-caught-up"}, {"publisher", "run"}, {"publisher", "prune"}} {
		_, stderr, code := p.exit(t, args[0], args[1:]...)
		if code != 1 {
			t.Errorf("%v: exit code %d", args, code)
		}
		oneLine(t, stderr, "read-only file system")
	}
	p.run(t, "publisher", "path")
	p.run(t, "publisher", "show", "1")
}

// A disk that stalls makes ingest not ready, with the reason, and loses nothing; it goes on when the disk does.
func TestStalledDisk(t *testing.T) {
	p := prepared(t, func(p place) { realDisk(t, p.state) })
	b := p.background(t)
	if out, err := exec.CommandContext(t.Context(), "fsfreeze", "-f", p.state).CombinedOutput(); err != nil {
		t.Skipf("this disk cannot be frozen: %v %s", err, out)
	}
	frozen := true
	thaw := func() {
		if frozen {
			frozen = false
			if out, err := exec.Command("fsfreeze", "-u", p.state).CombinedOutput(); err != nil {
				t.Errorf("%v %s", err, out)
			}
		}
	}
	t.Cleanup(thaw)
	p.produce(t, `{"tenant_id":"acme","event_id":"e4","account_id":"a1","service_name":"compute","usage_date":"2025-01-03","cost_usd":"1","ingested_at":"2025-01-05T01:00:00Z"}`+"\n")
	p.await(t, b, func(l control.Live) bool { return !l.Ready && strings.Contains(l.NotReady, "disk") })
	thaw()
	p.await(t, b, func(l control.Live) bool { return l.Ready && l.Partitions[0].NextOffset == 4 })
	b.stop(t)
	p.run(t, "ingest", "check")
}

// An ingest that is stopped does not answer: the publisher says so within seconds, and publishes when it goes on.
func TestStoppedIngest(t *testing.T) {
	p := prepared(t, nil)
	b := p.background(t)
	if err := b.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, stderr, code := p.exit(t, "publisher", "run")
	if took := time.Since(began); code != 1 || took > time.Minute {
		t.Errorf("exit code %d after %s", code, took)
	}
	oneLine(t, stderr, "the ingest that runs on this state does not answer", "look at its process")
	_, stderr, code = p.exit(t, "ingest", "run")
	if code != 5 {
		t.Errorf("a second ingest: exit code %d\n%s", code, stderr)
	}
	if err := b.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	p.run(t, "publisher", "run", "--wait=20s")
	b.stop(t)
}

// Two ingests and many publishers: one of each works, the others say that it does, and there is one release.
func TestOneOfEach(t *testing.T) {
	p := prepared(t, nil)
	b := p.background(t)
	_, stderr, code := p.exit(t, "ingest", "run")
	if code != 5 {
		t.Errorf("a second ingest: exit code %d", code)
	}
	oneLine(t, stderr, "state is locked")
	const publishers = 6
	type end struct {
		out  string
		code int
	}
	ends := make(chan end, publishers)
	for range publishers {
		go func() {
			c := p.command(context.Background(), "publisher", "run", "--wait=20s")
			out, _ := c.CombinedOutput()
			ends <- end{string(out), c.ProcessState.ExitCode()}
		}()
	}
	published := 0
	for range publishers {
		e := <-ends
		switch {
		case e.code == 0 && strings.Contains(e.out, "acme: release 1"):
			published++
		case e.code == 0 && strings.Contains(e.out, "nothing new since release 1"):
		case e.code == 5 && strings.Contains(e.out, "lake is locked by another publisher"):
		default:
			t.Errorf("exit code %d\n%s", e.code, e.out)
		}
	}
	if published != 1 {
		t.Errorf("%d publishers made release 1", published)
	}
	p.run(t, "publisher", "verify")
	b.stop(t)
}

// A clock that steps makes evidence from the future worthless, in one line, and the next listing replaces it.
func TestClockSteps(t *testing.T) {
	p := prepared(t, nil)
	p.run(t, "publisher", "run")
	p.produce(t, `{"tenant_id":"acme","event_id":"e1","account_id":"a1","service_name":"compute","usage_date":"2025-01-02","cost_usd":"11","ingested_at":"2025-01-05T01:00:00Z"}`+"\n")
	p.run(t, "ingest", "run", "--until-caught-up")
	store, err := state.Open(p.state, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	// The clock was a day ahead when the topic was last read to its end, and was set right since.
	if _, err := store.Apply(&state.Batch{CaughtUp: []state.CaughtUp{{At: time.Now().AddDate(0, 0, 1)}}}); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	_, stderr, code := p.exit(t, "publisher", "run")
	if code != 3 {
		t.Errorf("exit code %d", code)
	}
	oneLine(t, stderr, "caught-up-at is in the future", "let ingest catch up")
	// Stored evidence of the future is no reason to read nothing.
	p.produce(t, `{"tenant_id":"acme","event_id":"e2","account_id":"a1","service_name":"compute","usage_date":"2025-01-02","cost_usd":"1","ingested_at":"2025-01-05T02:00:00Z"}`+"\n")
	_, read, code := p.exit(t, "ingest", "run", "--until-caught-up", "--log-format", "json", "--log-level", "info")
	if code != 0 || !strings.Contains(read, `"records":1,`) {
		t.Errorf("exit code %d, want 0 and the one record that came since:\n%s", code, read)
	}
	p.run(t, "publisher", "run")
	// A clock that is a day behind publishes nothing that goes back.
	_, stderr, code = p.exit(t, "publisher", "run", "--as-of", time.Now().AddDate(0, 0, -1).UTC().Format(time.RFC3339))
	if code == 0 {
		t.Errorf("as of yesterday: exit code %d", code)
	}
	oneLine(t, stderr, "as-of is before the newest release's")
}

// With any umask, no other user reads a state and no other user writes a lake.
func TestUmask(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	defer syscall.Umask(syscall.Umask(0)) // the programs inherit it
	p := prepared(t, nil)
	b := p.background(t)
	p.run(t, "publisher", "run", "--wait=20s")
	p.run(t, "ingest", "backup", p.state+".backup")
	modes := func(dir string, bad fs.FileMode) {
		t.Helper()
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err == nil && info.Mode()&fs.ModeSymlink == 0 && info.Mode().Perm()&bad != 0 {
				t.Errorf("%s has mode %s", path, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	modes(p.lake, 0o022)
	for _, dir := range []string{p.state, p.state + ".backup"} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", dir, info.Mode(), err)
		}
	}
	if info, err := os.Stat(filepath.Join(p.state, control.SocketName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v", info, err)
	}
	b.stop(t)
}

// State and lake can be moved: nothing in them knows where they are.
func TestMovedDirectories(t *testing.T) {
	p := prepared(t, nil)
	p.run(t, "publisher", "run")
	moved := p
	moved.state, moved.lake = filepath.Join(t.TempDir(), "s"), filepath.Join(t.TempDir(), "l")
	for from, to := range map[string]string{p.state: moved.state, p.lake: moved.lake} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	if _, stderr, code := p.exit(t, "ingest", "run"); code != 1 {
		t.Errorf("where it was: exit code %d", code)
	} else {
		oneLine(t, stderr, "no state here")
	}
	moved.run(t, "ingest", "run", "--until-caught-up")
	if out := moved.run(t, "publisher", "run"); !strings.Contains(out, "nothing new since release 1") {
		t.Error(out)
	}
	moved.run(t, "publisher", "verify")
	if out := moved.run(t, "publisher", "path"); out != fmt.Sprintln(filepath.Join(moved.lake, "acme/releases/000001")) {
		t.Errorf("path %s", out)
	}
}
