package control

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"daybook/internal/billing"
	"daybook/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a Handler that remembers what it was told.
type recorder struct {
	dropped  string
	tenant   billing.TenantID
	sequence state.Sequence
	decision state.Decision
}

func (r *recorder) Checkpoint(context.Context) (CheckpointReply, error) {
	return CheckpointReply{ID: "7", Dir: "/s/checkpoints/7", Sequence: 42}, nil
}

func (r *recorder) DropCheckpoint(_ context.Context, id string) error {
	if id != "7" && id != "../db" {
		return ErrUnknownCheckpoint
	}
	r.dropped = id
	return nil
}

func (r *recorder) SetCovered(_ context.Context, t billing.TenantID, seq state.Sequence) error {
	r.tenant, r.sequence = t, seq
	return nil
}

func (r *recorder) Decide(_ context.Context, d state.Decision) (uint64, error) {
	if d.Why == "" {
		return 0, errors.New("a decision needs a why")
	}
	r.decision = d
	return 3, nil
}

func (r *recorder) Live(context.Context) (Live, error) {
	return Live{PID: 9, Ready: true, Partitions: []PartitionLag{{Topic: "t", NextOffset: 5, EndOffset: -1}}}, nil
}

func (r *recorder) Status(context.Context) (Status, error) {
	return Status{Database: "d", Running: true, PID: 9}, nil
}

// serve runs a server on dir until the test ends, and returns its client.
func serve(t *testing.T, dir string, h Handler) *Client {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Listen(ctx, dir, h) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Listen: %v", err)
		}
		if _, err := os.Stat(filepath.Join(dir, SocketName)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("socket is still there after Listen: %v", err)
		}
	})
	var c *Client
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		var err error
		if c, err = Dial(ctx, dir); err == nil {
			break
		}
		if !errors.Is(err, ErrNotRunning) || time.Since(start) > 5*time.Second {
			t.Fatalf("Dial: %v", err)
		}
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestEveryWordArrives(t *testing.T) {
	ctx := context.Background()
	var h recorder
	c := serve(t, t.TempDir(), &h)

	reply, err := c.Checkpoint(ctx)
	if want := (CheckpointReply{ID: "7", Dir: "/s/checkpoints/7", Sequence: 42}); err != nil || reply != want {
		t.Errorf("Checkpoint: %v, %v", reply, err)
	}
	if err := c.DropCheckpoint(ctx, "7"); err != nil || h.dropped != "7" {
		t.Errorf("DropCheckpoint: %v, dropped %q", err, h.dropped)
	}
	if err := c.DropCheckpoint(ctx, "../db"); err != nil || h.dropped != "../db" {
		t.Errorf("an odd id must arrive as it is: %v, dropped %q", err, h.dropped)
	}
	if err := c.DropCheckpoint(ctx, "8"); !errors.Is(err, ErrUnknownCheckpoint) {
		t.Errorf("DropCheckpoint of an unknown id: %v", err)
	}
	if err := c.SetCovered(ctx, "acme", 12); err != nil || h.tenant != "acme" || h.sequence != 12 {
		t.Errorf("SetCovered: %v, %q %d", err, h.tenant, h.sequence)
	}
	d := state.Decision{
		Kind: state.EmptyDayAllowed, Who: "eve", When: time.Unix(5, 0).UTC(), Why: "holiday",
		FromDay: "2025-01-01", ToDay: "2025-01-01", Records: []billing.Source{{Topic: 1, Partition: 2, Offset: 3, RecordTime: 4}},
	}
	if n, err := c.Decide(ctx, d); err != nil || n != 3 || !reflect.DeepEqual(h.decision, d) {
		t.Errorf("Decide: %d, %v, got %+v", n, err, h.decision)
	}
	if _, err := c.Decide(ctx, state.Decision{}); err == nil || !strings.Contains(err.Error(), "a decision needs a why") {
		t.Errorf("a handler's error must arrive with its text: %v", err)
	}
	if live, err := c.Live(ctx); err != nil || live.PID != 9 || len(live.Partitions) != 1 || live.Partitions[0].EndOffset != -1 {
		t.Errorf("Live: %+v, %v", live, err)
	}
	if s, err := c.Status(ctx); err != nil || s.Database != "d" || !s.Running {
		t.Errorf("Status: %+v, %v", s, err)
	}
}

func TestSocketIsPrivateAndReplacesAStaleOne(t *testing.T) {
	dir := t.TempDir()
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, SocketName), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	if _, err := Dial(context.Background(), dir); !errors.Is(err, ErrNotRunning) {
		t.Fatalf("Dial of a stale socket: %v", err)
	}
	serve(t, dir, &recorder{})
	info, err := os.Stat(filepath.Join(dir, SocketName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v; want 0600", info.Mode(), err)
	}
}

func TestLongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 40), "state")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(context.Background(), dir); !errors.Is(err, ErrNotRunning) {
		t.Fatalf("Dial before Listen: %v", err)
	}
	c := serve(t, dir, &recorder{})
	if _, err := c.Live(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestDialWithoutIngest(t *testing.T) {
	for name, dir := range map[string]string{
		"empty directory":   t.TempDir(),
		"missing directory": filepath.Join(t.TempDir(), "gone"),
		"long and missing":  filepath.Join(t.TempDir(), strings.Repeat("gone", 40)),
	} {
		if _, err := Dial(context.Background(), dir); !errors.Is(err, ErrNotRunning) {
			t.Errorf("%s: %v, want ErrNotRunning", name, err)
		}
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	var h recorder
	c := serve(t, t.TempDir(), &h)
	for _, body := range []any{
		map[string]any{"tenant": "acme", "sequence": "twelve"},
		map[string]any{"tenant": "acme", "path": "/etc"},
		[]int{1},
	} {
		err := c.ask(context.Background(), "POST", "covered", body, nil)
		if err == nil || !strings.Contains(err.Error(), "read request") {
			t.Errorf("%v: %v", body, err)
		}
	}
	if h.tenant != "" {
		t.Errorf("a bad request reached the handler: %q", h.tenant)
	}
}

// A running request is answered although the server was told to stop.
func TestShutdownWaitsForTheRequestInHand(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	h := &slow{recorder: &recorder{}, entered: make(chan struct{}), leave: make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- Listen(ctx, dir, h) }()
	var c *Client
	for c == nil {
		c, _ = Dial(context.Background(), dir)
		time.Sleep(time.Millisecond)
	}
	defer c.Close()
	answered := make(chan error, 1)
	go func() {
		_, err := c.Checkpoint(context.Background())
		answered <- err
	}()
	<-h.entered
	cancel()
	select {
	case err := <-done:
		t.Fatalf("Listen returned before its request was answered: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(h.leave)
	if err := <-answered; err != nil {
		t.Errorf("running request: %v", err)
	}
	if err := <-done; err != nil {
		t.Errorf("Listen: %v", err)
	}
}

// slow holds Checkpoint up.
type slow struct {
	*recorder
	entered, leave chan struct{}
}

func (s *slow) Checkpoint(ctx context.Context) (CheckpointReply, error) {
	close(s.entered)
	<-s.leave
	return s.recorder.Checkpoint(ctx)
}

// TestIngestThatEnds: whoever asked an ingest that ended meanwhile is told so.
func TestIngestThatEnds(t *testing.T) {
	c, err := Connect(t.Context(), func(context.Context) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			_, _ = far.Read(make([]byte, 4096)) // the request; or the end of the probe
			far.Close()
		}()
		return near, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Checkpoint(t.Context()); !errors.Is(err, ErrEnded) {
		t.Errorf("Checkpoint: %v, want ErrEnded", err)
	}
}
