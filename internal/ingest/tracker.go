package ingest

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	"daybook/internal/billing"
	"daybook/internal/control"
	"daybook/internal/state"
)

// The reasons why a partition is not caught up.
const (
	reasonBehind          = "behind"
	reasonOpenTransaction = "open_transaction"
	reasonUnknown         = "end_unknown"
)

// errStarting is the readiness before the first listing.
var errStarting = errors.New("starting: the brokers were not reached yet")

// partitionTracker tracks the partitions and the readiness of a running ingest, for status, metrics and the loop. It is
// safe for concurrent use.
type partitionTracker struct {
	topics  map[billing.TopicOrdinal]state.Topic
	metrics *metrics

	mu struct {
		sync.Mutex
		partitions map[state.PartitionID]*partition
		problem    error // nil: reading
		warnings   []string
		compacted  map[billing.TopicOrdinal]bool
	}
}

// partition is the state of one partition. Everything before next is durable.
type partition struct {
	next       int64
	epoch      int32
	caughtUpAt time.Time
	// caughtUp: everything that was in the partition at some time of this run is durable.
	caughtUp bool
	bounds   bounds // as listed last
	listed   bool
	// holesExplained: the partition has transactions or is compacted.
	holesExplained bool
}

// newPartitionTracker returns a tracker that starts at the stored positions.
func newPartitionTracker(id state.Identity, positions []state.Position, m *metrics) *partitionTracker {
	b := &partitionTracker{topics: map[billing.TopicOrdinal]state.Topic{}, metrics: m}
	b.mu.partitions = map[state.PartitionID]*partition{}
	b.mu.problem = errStarting
	for _, t := range id.Topics {
		b.topics[t.Ordinal] = t
	}
	for _, p := range positions {
		b.mu.partitions[p.Partition] = &partition{next: p.NextOffset, epoch: p.LeaderEpoch, caughtUpAt: p.CaughtUpAt, holesExplained: p.HolesExplained}
	}
	return b
}

// durable records the result of a write.
func (b *partitionTracker) durable(w *state.Batch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range w.Advances {
		p := b.partitionLocked(a.Partition)
		p.next = a.Next
		p.holesExplained = p.holesExplained || a.HolesExplained
		if a.LeaderEpoch >= 0 {
			p.epoch = a.LeaderEpoch
		}
	}
	for _, c := range w.CaughtUp {
		p := b.partitionLocked(c.Partition)
		p.caughtUpAt, p.caughtUp = c.At, !c.At.IsZero()
	}
}

// moved records that a decision moved a partition to next.
func (b *partitionTracker) moved(id state.PartitionID, next int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.partitionLocked(id)
	p.next, p.epoch = next, -1
}

// listed records a listing.
func (b *partitionTracker) listed(l *listing) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, bounds := range l.Partitions {
		if p, ok := b.mu.partitions[id]; ok {
			p.bounds, p.listed = bounds, true
		}
	}
}

// partitionLocked returns a partition, and adds it if it is new.
func (b *partitionTracker) partitionLocked(id state.PartitionID) *partition {
	p, ok := b.mu.partitions[id]
	if !ok {
		p = &partition{epoch: -1}
		b.mu.partitions[id] = p
	}
	return p
}

// known reports whether the state has a position in the partition.
func (b *partitionTracker) known(id state.PartitionID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.mu.partitions[id]
	return ok
}

// place returns the durable next offset and the leader epoch of a partition; 0 and -1 for a partition that the
// state does not have.
func (b *partitionTracker) place(id state.PartitionID) (next int64, epoch int32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p, ok := b.mu.partitions[id]; ok {
		return p.next, p.epoch
	}
	return 0, -1
}

// remaining is the number of offsets after those in reading that may be read, by the last listing. A partition that
// is not in reading counts from its durable offset.
func (b *partitionTracker) remaining(reading map[state.PartitionID]int64) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := int64(0)
	for id, p := range b.mu.partitions {
		next, ok := reading[id]
		if !ok {
			next = p.next
		}
		n += max(0, p.bounds.Stable-next)
	}
	return n
}

// nexts returns the durable next offsets.
func (b *partitionTracker) nexts() map[state.PartitionID]int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := make(map[state.PartitionID]int64, len(b.mu.partitions))
	for id, p := range b.mu.partitions {
		next[id] = p.next
	}
	return next
}

// holesExplained reports whether missing offsets of the partition are explained.
func (b *partitionTracker) holesExplained(id state.PartitionID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, ok := b.mu.partitions[id]
	return ok && (p.holesExplained || b.mu.compacted[id.Topic])
}

// setCompacted records the compacted topics.
func (b *partitionTracker) setCompacted(topics map[billing.TopicOrdinal]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.compacted = topics
}

// setProblem sets the reason why ingest does not read; nil if it reads. It reports whether that is a change.
func (b *partitionTracker) setProblem(err error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.mu.problem
	b.mu.problem = err
	if err == nil {
		b.metrics.ready.Set(1)
		return before != nil
	}
	b.metrics.ready.Set(0)
	return before == nil || before.Error() != err.Error()
}

// problem returns the reason why ingest does not read; nil if it reads.
func (b *partitionTracker) problem() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.problem
}

// setWarnings replaces the warnings about the topics' settings.
func (b *partitionTracker) setWarnings(w []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.warnings = w
}

// caughtUp reports whether every partition was read to an end that this run listed. What the state had before the
// run does not count: its clock may have been another.
func (b *partitionTracker) caughtUp() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.mu.partitions {
		if !p.listed || !p.caughtUp {
			return false
		}
	}
	return len(b.mu.partitions) > 0
}

// reached reports whether every partition of until was read up to there; reading has the next offset of each, and a
// partition that is not in it counts from its durable offset.
func (b *partitionTracker) reached(until, reading map[state.PartitionID]int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, end := range until {
		next, ok := reading[id]
		if p := b.mu.partitions[id]; !ok && p != nil {
			next, ok = p.next, true
		}
		if !ok || next < end {
			return false
		}
	}
	return true
}

// progress returns the number of durable offsets and the total, or the total up to until.
func (b *partitionTracker) progress(until map[state.PartitionID]int64) (done, total int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, p := range b.mu.partitions {
		end := p.bounds.End
		if until != nil {
			end = until[id]
		}
		done += min(p.next, end)
		total += end
	}
	return done, total
}

// live returns the status for the control socket.
func (b *partitionTracker) live() control.Live {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := control.Live{Ready: b.mu.problem == nil, Warnings: slices.Clone(b.mu.warnings)}
	if b.mu.problem != nil {
		l.NotReady = b.mu.problem.Error()
	}
	for id, p := range b.mu.partitions {
		lag := control.PartitionLag{
			Topic: b.topics[id.Topic].Name, Partition: id.Partition,
			NextOffset: p.next, EndOffset: -1, CaughtUpAt: p.caughtUpAt, Reason: p.reason(),
		}
		if p.listed {
			lag.EndOffset = p.bounds.End
		}
		l.Partitions = append(l.Partitions, lag)
	}
	slices.SortFunc(l.Partitions, func(a, b control.PartitionLag) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return l
}

// reason returns why the partition is not caught up; empty if it is.
func (p *partition) reason() string {
	switch {
	case !p.listed:
		return reasonUnknown
	case p.next >= p.bounds.End:
		return ""
	case p.next >= p.bounds.Stable:
		return reasonOpenTransaction
	}
	return reasonBehind
}

// measure sets the gauges.
func (b *partitionTracker) measure(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, p := range b.mu.partitions {
		l := labels(b.topics[id.Topic].Name, id.Partition)
		b.metrics.nextOffset.With(l).Set(float64(p.next))
		if p.listed {
			b.metrics.lagRecords.With(l).Set(float64(max(0, p.bounds.End-p.next)))
		}
		if p.caughtUpAt.IsZero() {
			b.metrics.caughtUpAt.With(l).Set(0)
			b.metrics.lagSeconds.With(l).Set(-1)
			continue
		}
		b.metrics.caughtUpAt.With(l).Set(float64(p.caughtUpAt.UnixMilli()) / 1e3)
		b.metrics.lagSeconds.With(l).Set(now.Sub(p.caughtUpAt).Seconds())
	}
}
