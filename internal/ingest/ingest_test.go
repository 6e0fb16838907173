package ingest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"daybook/internal/control"
	"daybook/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConsumeAndRestart(t *testing.T) {
	w := newWorld(t, 2)
	w.init()
	w.push(0, event("e1", "a", "2025-01-01", "10.0"), event("e2", "a", "2025-01-01", "5.0"))
	w.push(1, event("e3", "b", "2025-01-01", "7.0"), `{"event_id":"broken"`)
	w.mustCatchUp()
	equal(t, w.totals(), map[string]string{"a 2025-01-01": "15", "b 2025-01-01": "7"})

	w.push(0, event("e2", "a", "2025-01-01", "5.0")) // a copy
	w.push(1, strings.Replace(event("e3", "b", "2025-01-01", "8.5"), "2025-01-02T", "2025-01-03T", 1))
	w.mustCatchUp()
	equal(t, w.totals(), map[string]string{"a 2025-01-01": "15", "b 2025-01-01": "8.5"})
	for _, p := range w.positions() {
		if p.NextOffset != 3 || p.Delivered != 3 || p.Holes != 0 || p.CaughtUpAt.IsZero() {
			t.Errorf("position %+v, want 3 delivered and caught up", p)
		}
	}
	// What is read is mirrored for lag tools.
	offsets, err := w.admin().FetchOffsets(context.Background(), "daybook-ingest")
	if o, ok := offsets.Lookup(w.topic, 1); err != nil || !ok || o.At != 3 {
		t.Errorf("mirrored: %+v %v, want 3", o, err)
	}
}

func TestFollowsAndAnswersWhileItRuns(t *testing.T) {
	w := newWorld(t, 1)
	w.init()
	g, stop := w.follow(RunOptions{})
	w.eventually("ready", func() bool { return g.Ready() == nil })
	w.push(0, event("e1", "a", "2025-01-01", "10"), "nonsense")

	ctx := context.Background()
	c, err := control.Dial(ctx, w.cfg.State)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var s control.Status
	w.eventually("two records", func() bool {
		s, err = c.Status(ctx)
		return err == nil && len(s.Partitions) == 1 && s.Partitions[0].NextOffset == 2 && s.Partitions[0].LagRecords == 0
	})
	if !s.Running || !s.Ready || len(s.Quarantine) != 1 || s.Quarantine[0].Records != 1 || len(s.Tenants) != 1 || s.Tenants[0].Dirty != 1 {
		t.Errorf("status %+v", s)
	}

	reply, err := c.Checkpoint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r, err := state.OpenReader(reply.Dir, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Head().Sequence != reply.Sequence {
		t.Errorf("checkpoint is at %d, said %d", r.Head().Sequence, reply.Sequence)
	}
	if err := errors.Join(r.Close(), c.DropCheckpoint(ctx, reply.ID)); err != nil {
		t.Fatal(err)
	}
	if err := c.DropCheckpoint(ctx, "../../db"); !errors.Is(err, control.ErrUnknownCheckpoint) {
		t.Errorf("a path as an id: %v", err)
	}
	if _, err := c.Decide(ctx, state.Decision{Kind: state.GapAccepted, From: 2, Next: 9}); err == nil {
		t.Error("a running ingest accepted a gap")
	}
	if _, err := New(w.cfg, RulesConfig{}, RunOptions{}, w.deps()); !errors.Is(err, state.ErrLocked) {
		t.Errorf("a second ingest: %v, want ErrLocked", err)
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// caughtUpSince reports whether every partition has evidence from t or later.
func caughtUpSince(g *Ingester, t time.Time) bool {
	partitions := g.tracker.live().Partitions
	return len(partitions) > 0 && !slices.ContainsFunc(partitions, func(p control.PartitionLag) bool { return p.CaughtUpAt.Before(t) })
}

func TestIdleTopicIsCaughtUpAgainAndAgain(t *testing.T) {
	w := newWorld(t, 3)
	w.init()
	g, stop := w.follow(RunOptions{})
	begin := time.Now()
	w.eventually("evidence from after the start", func() bool { return caughtUpSince(g, begin) })
	later := time.Now()
	w.eventually("newer evidence", func() bool { return caughtUpSince(g, later) })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for _, p := range w.positions() {
		if p.CaughtUpAt.Before(later) || p.CaughtUpAt.After(time.Now()) {
			t.Errorf("partition %d caught up at %v, want after %v", p.Partition.Partition, p.CaughtUpAt, later)
		}
	}
}
