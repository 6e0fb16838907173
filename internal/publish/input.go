package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"daybook/internal/billing"
	"daybook/internal/clock"
	"daybook/internal/lake"
	"daybook/internal/state"
)

// input is what a run reads once for all tenants.
type input struct {
	reader    *state.Reader
	asOf      time.Time
	now       clock.Reading // when the checkpoint had been taken
	lastDue   billing.Day
	identity  state.Identity
	topics    map[billing.TopicOrdinal]state.Topic
	head      state.Head
	positions []state.Position
	decisions []state.Decision
	behind    []Behind
	// before is each tenant's newest release before the checkpoint was taken.
	before map[billing.TenantID]int
	// expected are the accounts that should send something; nil: not given.
	expected map[billing.TenantID]expectations
	// quarantine counts the open quarantined records per tenant; computed by the first call.
	quarantine func() (map[billing.TenantID][]lake.QuarantineCount, error)
}

// Behind is a partition that is not read up to the newest cutoff.
type Behind struct {
	Topic      string    `json:"topic"`
	Partition  int32     `json:"partition"`
	CaughtUpAt time.Time `json:"caught_up_at"`
	Cutoff     time.Time `json:"cutoff"`
	NextOffset int64     `json:"next_offset"`
	Missing    int64     `json:"records_missing"` // -1: unknown
	Reason     string    `json:"reason,omitempty"`

	bound billing.TenantID // the one tenant whose records the topic can hold; empty: any
}

// concerning are the partitions that may have unread records of a tenant.
func concerning(behind []Behind, t billing.TenantID) []Behind {
	return slices.DeleteFunc(slices.Clone(behind), func(b Behind) bool { return b.bound != "" && b.bound != t })
}

// String names the partition, the number of unread records, and the reason.
func (b Behind) String() string {
	s := fmt.Sprintf("%s/%d", b.Topic, b.Partition)
	if b.Missing >= 0 {
		s += fmt.Sprintf(" %d records missing", b.Missing)
	}
	switch {
	case b.Reason != "":
		s += " (" + b.Reason + ")"
	case b.CaughtUpAt.IsZero():
		s += " (never caught up)"
	default:
		s += " (caught up at " + b.CaughtUpAt.UTC().Format(time.RFC3339) + ")"
	}
	return s
}

// input takes a checkpoint whose partitions are all read up to the newest cutoff. While some are behind it waits, up
// to Config.Wait. After that, a topic that is bound to a tenant blocks that tenant only.
func (p *Publisher) input(ctx context.Context) (*Checkpoint, *input, error) {
	deadline := p.deps.Now().Add(p.cfg.Wait)
	for {
		before, err := p.newest()
		if err != nil {
			return nil, &input{}, err
		}
		c, err := p.deps.Source.Checkpoint(ctx)
		if err != nil {
			return nil, &input{}, err
		}
		in, err := p.readInput(c)
		if err == nil {
			in.before = before
		}
		if err == nil && (len(in.behind) == 0 || p.cfg.AllowIncomplete) {
			return c, in, nil
		}
		late := !p.deps.Now().Add(p.cfg.Poll).Before(deadline)
		if err == nil && late && !slices.ContainsFunc(in.behind, func(b Behind) bool { return b.bound == "" }) {
			return c, in, nil
		}
		if closeErr := c.Close(); closeErr != nil {
			err = errors.Join(err, closeErr)
		}
		if err != nil {
			return nil, &input{}, err
		}
		if late {
			return nil, in, in.incomplete(in.behind)
		}
		p.deps.Log.Info("wait for input", "behind", listBehind(in.behind))
		select {
		case <-ctx.Done():
			return nil, in, ctx.Err()
		case <-time.After(p.cfg.Poll):
		}
	}
}

// newest is the number of each tenant's newest release. A tenant whose `current` cannot be read is left out: its own
// run reports it.
func (p *Publisher) newest() (map[billing.TenantID]int, error) {
	tenants, err := p.deps.Lake.Tenants()
	if err != nil {
		return nil, fmt.Errorf("list tenants of the lake: %w", err)
	}
	newest := make(map[billing.TenantID]int, len(tenants))
	for _, t := range tenants {
		if n, _, err := p.deps.Lake.Tenant(t).Resolve(); err == nil {
			newest[t] = n
		}
	}
	return newest, nil
}

// incomplete is the error that names partitions that are behind.
func (in *input) incomplete(behind []Behind) error {
	return fmt.Errorf("%w as of the cutoff of %s: %s: let ingest catch up, wait with --wait, or publish with --allow-incomplete",
		ErrIncomplete, in.lastDue, listBehind(behind))
}

// readInput reads from a checkpoint what concerns all tenants.
func (p *Publisher) readInput(c *Checkpoint) (*input, error) {
	in := &input{
		reader:   c.Reader,
		now:      p.deps.Clock(),
		identity: c.Identity(),
		head:     c.Head(),
		topics:   map[billing.TopicOrdinal]state.Topic{},
	}
	in.asOf = in.now.Wall.UTC()
	if !p.cfg.AsOf.IsZero() {
		in.asOf = p.cfg.AsOf.UTC()
	}
	// Releases store microseconds; later runs compare the stored value.
	in.asOf = in.asOf.Truncate(time.Microsecond)
	in.lastDue = p.cfg.Cutoff.LastDue(in.asOf)
	for _, t := range in.identity.Topics {
		in.topics[t.Ordinal] = t
	}
	var err error
	if in.positions, err = c.Positions(); err != nil {
		return nil, fmt.Errorf("read positions: %w", err)
	}
	if in.decisions, err = c.Decisions(); err != nil {
		return nil, fmt.Errorf("read decisions: %w", err)
	}
	in.behind = in.behindAt(c, p.cfg.Cutoff.Of(in.lastDue))
	if len(p.cfg.Tenants) > 0 {
		in.behind = slices.DeleteFunc(in.behind, func(b Behind) bool { return b.bound != "" && !slices.Contains(p.cfg.Tenants, b.bound) })
	}
	in.quarantine = sync.OnceValues(func() (map[billing.TenantID][]lake.QuarantineCount, error) {
		return countQuarantine(in)
	})
	return in, nil
}

// caughtUp is up to when a partition is known to be read; zero: not known. Evidence counts only where this process's
// clock agrees with the one that made it. Evidence that does not count now does not count later either: until ingest
// makes it again, the partition is behind.
func (in *input) caughtUp(p *state.Position) time.Time {
	at, _ := p.CaughtUpBy(in.now)
	return at
}

// readUpTo reports whether all partitions that can hold records of a tenant are read up to a cutoff.
func (in *input) readUpTo(t billing.TenantID, cutoff time.Time) bool {
	return len(concerning(in.behindAt(nil, cutoff), t)) == 0
}

// behindAt are the partitions that are not read up to a cutoff, and topics of which no partition was read. c, which
// may be nil, adds the number of unread records and the reason.
func (in *input) behindAt(c *Checkpoint, cutoff time.Time) []Behind {
	var behind []Behind
	seen := map[billing.TopicOrdinal]bool{}
	for i := range in.positions {
		pos := &in.positions[i]
		seen[pos.Partition.Topic] = true
		at, doubt := pos.CaughtUpBy(in.now)
		if !at.IsZero() && !at.Before(cutoff) {
			continue
		}
		b := Behind{
			Topic: in.topics[pos.Partition.Topic].Name, Partition: pos.Partition.Partition,
			CaughtUpAt: at, Cutoff: cutoff, NextOffset: pos.NextOffset, Missing: -1,
		}
		b.bound = in.identity.Rules.Bindings[b.Topic]
		if c != nil {
			if end, ok := c.EndOffsets[pos.Partition]; ok {
				b.Missing = max(0, end-pos.NextOffset)
			}
			b.Reason = c.LagReasons[pos.Partition]
		}
		b.Reason = cmp.Or(b.Reason, string(doubt))
		behind = append(behind, b)
	}
	for _, t := range in.identity.Topics {
		if !seen[t.Ordinal] {
			behind = append(behind, Behind{Topic: t.Name, Cutoff: cutoff, Missing: -1, Reason: "never read", bound: in.identity.Rules.Bindings[t.Name]})
		}
	}
	return behind
}

// listBehind is a list of partitions as text.
func listBehind(behind []Behind) string {
	const most = 8
	parts := make([]string, 0, most+1)
	for i, b := range behind {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(behind)-most))
			break
		}
		parts = append(parts, b.String())
	}
	return strings.Join(parts, ", ")
}

// inputPositions converts the positions to their form in a manifest.
func (in *input) inputPositions() []lake.InputPosition {
	out := make([]lake.InputPosition, 0, len(in.positions))
	for i := range in.positions {
		p := &in.positions[i]
		t := in.topics[p.Partition.Topic]
		out = append(out, lake.InputPosition{
			Topic: t.Name, TopicID: t.ID, Partition: p.Partition.Partition,
			FirstOffset: p.FirstOffset, NextOffset: p.NextOffset, LeaderEpoch: p.LeaderEpoch,
			CaughtUpAt: in.caughtUp(p).UTC(), // zero where it is not trusted
		})
	}
	return out
}
