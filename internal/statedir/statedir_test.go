package statedir_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"daybook/internal/billing"
	"daybook/internal/control"
	"daybook/internal/state"
	"daybook/internal/statedir"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const tenant = billing.TenantID("acme")

// newDir makes an empty state of one topic, which no ingest runs on.
func newDir(t *testing.T) statedir.Dir {
	t.Helper()
	d := statedir.Dir{Path: filepath.Join(t.TempDir(), "state")}
	id := state.Identity{Cluster: "c", Topics: []state.Topic{{Name: "billing"}}, Partitions: "all", Rules: billing.DefaultRules()}
	check(t, state.Create(d.Path, id, state.Options{}))
	return d
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// running is the handler of an ingest: a store that is open, and its checkpoints.
type running struct {
	*state.Store
	*statedir.Checkpoints
}

func (r running) Checkpoint(context.Context) (control.CheckpointReply, error) { return r.Make() }

func (r running) DropCheckpoint(_ context.Context, id string) error { return r.Drop(id) }

func (r running) SetCovered(_ context.Context, t billing.TenantID, seq state.Sequence) error {
	return r.Store.SetCovered(t, seq)
}

func (r running) Decide(_ context.Context, d state.Decision) (uint64, error) {
	return r.Store.Decide(d)
}

func (r running) Live(context.Context) (control.Live, error) {
	return control.Live{PID: 1, Ready: true, Partitions: []control.PartitionLag{{Topic: "billing", EndOffset: 7, Reason: "behind"}}}, nil
}

func (r running) Status(ctx context.Context) (control.Status, error) {
	reader, err := r.Reader()
	if err != nil {
		return control.Status{}, err
	}
	defer reader.Close()
	live, err := r.Live(ctx)
	if err != nil {
		return control.Status{}, err
	}
	return statedir.StatusOf(reader, &live, time.Now())
}

// run opens the state as an ingest does, until the test ends.
func run(t *testing.T, d statedir.Dir) {
	t.Helper()
	store, err := statedir.Open(t.Context(), d.Path, d.Options)
	check(t, err)
	checkpoints, err := statedir.NewCheckpoints(d.Path, store, time.Hour, d.Options)
	check(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- control.Listen(ctx, d.Path, running{store, checkpoints}) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, store.Close()); err != nil {
			t.Error(err)
		}
	})
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		c, err := control.Dial(t.Context(), d.Path)
		if err == nil {
			check(t, c.Close())
			return
		}
		if time.Since(start) > 10*time.Second {
			t.Fatal(err)
		}
	}
}

// TestRunningOrNot: every operation does the same whether or not an ingest runs on the state.
func TestRunningOrNot(t *testing.T) {
	for name, runs := range map[string]bool{"stopped": false, "running": true} {
		t.Run(name, func(t *testing.T) {
			d := newDir(t)
			if runs {
				run(t, d)
			}
			ctx := t.Context()
			n, err := d.Decide(ctx, state.Decision{Kind: state.EmptyDayAllowed, Who: "clerk", Why: "closed", FromDay: "2025-01-01", ToDay: "2025-01-01"})
			if err != nil || n != 1 {
				t.Fatalf("decision %d, %v", n, err)
			}
			check(t, d.SetCovered(ctx, tenant, 1))
			check(t, d.View(ctx, func(r *state.Reader) error {
				covered, err := r.Covered(tenant)
				decisions, decisionsErr := r.Decisions()
				if covered != 1 || len(decisions) != 1 || decisions[0].When.IsZero() {
					t.Errorf("covered %d, decisions %+v", covered, decisions)
				}
				return errors.Join(err, decisionsErr)
			}))
			failed := errors.New("the caller's error")
			if err := d.View(ctx, func(*state.Reader) error { return failed }); !errors.Is(err, failed) {
				t.Errorf("view: %v, want the caller's error", err)
			}
			c, err := d.Checkpoint(ctx)
			check(t, err)
			if c.Head().Sequence != 1 || runs != (c.EndOffsets[state.PartitionID{}] == 7) || runs != (c.LagReasons[state.PartitionID{}] == "behind") {
				t.Errorf("checkpoint of write %d, ends %v, reasons %v", c.Head().Sequence, c.EndOffsets, c.LagReasons)
			}
			check(t, c.Close())
			to := filepath.Join(t.TempDir(), "backup")
			head, err := d.Backup(ctx, to)
			if err != nil || head.Sequence != 1 {
				t.Fatalf("backup of write %d, %v", head.Sequence, err)
			}
			if _, err := d.Backup(ctx, to); err == nil {
				t.Error("a backup replaced an existing directory")
			}
			restored, err := state.OpenReader(to, state.Options{})
			check(t, err)
			if restored.Head() != head {
				t.Errorf("the backup has head %+v, want %+v", restored.Head(), head)
			}
			check(t, restored.Close())
			s, err := d.Status(ctx)
			if err != nil || s.Running != runs || s.Decisions != 1 || s.Sequence != 1 {
				t.Errorf("status %+v, %v", s, err)
			}
			if left, err := os.ReadDir(filepath.Join(d.Path, "checkpoints")); err == nil && len(left) > 0 {
				t.Errorf("%d checkpoints are left", len(left))
			}
		})
	}
}

// TestLocked: a lock that is held for a moment is waited for; one that is kept is an error after a few seconds.
func TestLocked(t *testing.T) {
	d := newDir(t)
	store, err := state.Open(d.Path, state.Options{})
	check(t, err)
	if _, err := statedir.OpenStopped(d.Path, state.Options{}); !errors.Is(err, state.ErrLocked) {
		t.Errorf("open: %v, want ErrLocked", err)
	}
	if _, err := d.Checkpoint(t.Context()); !errors.Is(err, state.ErrLocked) {
		t.Errorf("checkpoint: %v, want ErrLocked", err)
	}
	released := make(chan error, 1)
	time.AfterFunc(50*time.Millisecond, func() { released <- store.Close() })
	check(t, d.SetCovered(t.Context(), tenant, 1))
	check(t, <-released)
}
