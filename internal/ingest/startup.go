package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/billing"
	"daybook/internal/state"
)

// Limits of waiting for brokers.
const (
	listTimeout = 20 * time.Second
	minBackoff  = 200 * time.Millisecond
	maxBackoff  = 5 * time.Second
)

// establish waits for the brokers and checks that every partition can be read from its stored position. It returns the
// listing that shows it.
func (g *Ingester) establish(ctx context.Context, admin *kgo.Client) (*listing, error) {
	for delay := minBackoff; ; delay = min(2*delay, maxBackoff) {
		l, err := g.list(ctx, admin)
		if err == nil {
			err = g.admit(ctx, admin, l)
		}
		if err == nil {
			return l, nil
		}
		if _, stop := errors.AsType[*Stop](err); stop || isStorage(err) {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, nil
		}
		g.trouble(err)
		if !sleep(ctx, delay) {
			return nil, nil
		}
	}
}

// list lists the topics within a time limit.
func (g *Ingester) list(ctx context.Context, admin *kgo.Client) (*listing, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	l, err := list(ctx, admin, g.identity.Topics, g.deps.Clock)
	if te, ok := errors.AsType[*topicError](err); ok {
		return nil, g.cfg.Kafka.Explain("topic "+te.topic, err)
	}
	return l, g.cfg.Kafka.Explain("", err)
}

// listNew is list for a topic that may be new: it waits a short time for the leaders.
func (g *Ingester) listNew(ctx context.Context, admin *kgo.Client) (l *listing, err error) {
	for delay := minBackoff; delay < maxBackoff; delay *= 2 {
		l, err = g.list(ctx, admin)
		if !errors.Is(err, kerr.NotLeaderForPartition) && !errors.Is(err, kerr.LeaderNotAvailable) || !sleep(ctx, delay) {
			break
		}
	}
	return l, err
}

// admit compares a listing with the state and adds new partitions. It accepts gaps if the options say so.
func (g *Ingester) admit(ctx context.Context, admin *kgo.Client, l *listing) error {
	if err := sameInput(g.identity, l); err != nil {
		return err
	}
	r, err := g.store.Reader()
	if err != nil {
		return storageError{err}
	}
	defer r.Close()
	positions, err := r.Positions()
	if err != nil {
		return storageError{err}
	}
	if err := partitionsGone(g.tracker.topics, positions, l); err != nil {
		return err
	}
	byID := map[state.PartitionID]*state.Position{}
	for i := range positions {
		byID[positions[i].Partition] = &positions[i]
	}
	first := &state.Batch{}
	var gaps []*gap
	var stops []error
	for id, b := range l.Partitions {
		t, pos := g.tracker.topics[id.Topic], byID[id]
		gp, err := checkPosition(t, id, pos, b)
		switch {
		case err != nil:
			stops = append(stops, err)
		case gp != nil && !g.opts.AcceptGap:
			stops = append(stops, gp.stop())
		case gp != nil:
			gaps = append(gaps, gp)
		case pos == nil:
			first.Advances = append(first.Advances, state.Advance{Partition: id, LeaderEpoch: -1, LastOffset: -1})
		}
	}
	if err := firstStop(stops); err != nil {
		return err
	}
	if err := g.sameRecords(ctx, admin, positions, l); err != nil {
		return err
	}
	for _, gp := range gaps {
		if err := g.accept(gp); err != nil {
			return storageError{err}
		}
	}
	if len(first.Advances) > 0 {
		if _, err := g.store.Apply(first); err != nil {
			return storageError{err}
		}
		g.tracker.durable(first)
	}
	g.tracker.listed(l)
	return nil
}

// firstStop returns one of several stops, with the number of the others.
func firstStop(stops []error) error {
	if len(stops) == 0 {
		return nil
	}
	first, ok := errors.AsType[*Stop](stops[0])
	if !ok || len(stops) == 1 {
		return stops[0]
	}
	more := *first
	more.Detail = fmt.Sprintf("%s; and %d partitions more", more.Detail, len(stops)-1)
	return &more
}

// accept records the decision to continue without the missing records. They may concern any day up to the last day
// that a current record may have.
func (g *Ingester) accept(gp *gap) error {
	now := g.deps.Now()
	d := state.Decision{
		Kind: state.GapAccepted, Who: g.opts.Who, When: now.UTC(), Why: g.opts.Why,
		ToDay: billing.DayOf(now.UTC().Add(g.identity.Rules.MaxUsageAhead)).String(),
		Topic: gp.partition.Topic, Partition: gp.partition.Partition, From: gp.From, Next: gp.Next,
	}
	if t := g.identity.Rules.Bindings[gp.topic.Name]; t != "" {
		d.Tenant = t
	}
	if _, err := g.store.Decide(d); err != nil {
		return err
	}
	g.tracker.moved(gp.partition, gp.Next)
	g.deps.Log.Warn("gap accepted", "topic", gp.topic.Name, "partition", gp.partition.Partition,
		"from_offset", gp.From, "next_offset", gp.Next, "days_up_to", d.ToDay)
	return nil
}

// trouble records why ingest currently cannot read.
func (g *Ingester) trouble(err error) {
	g.metrics.fetchErrors.Inc()
	g.tracker.setProblem(err)
	g.throttled.warn("failed to read from Kafka, will retry", "err", err)
}

// reading records that ingest reads.
func (g *Ingester) reading() {
	if g.tracker.setProblem(nil) {
		g.deps.Log.Info("reading from Kafka")
	}
}

// storageError is an error of the state. It ends the run.
type storageError struct{ err error }

// Error returns the text of the state's error.
func (e storageError) Error() string { return e.err.Error() }

// Unwrap returns the state's error.
func (e storageError) Unwrap() error { return e.err }

// isStorage reports whether an error is one of the state and not of the brokers.
func isStorage(err error) bool {
	_, ok := errors.AsType[storageError](err)
	return ok
}

// sleep waits; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
