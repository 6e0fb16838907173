package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"daybook/internal/decode"
	"daybook/internal/state"
)

// pollRecords bounds the records of one poll, so that decoding can be distributed and a batch does not grow far
// beyond its bounds.
const pollRecords = 20_000

// consume reads until ctx ends, in three goroutines: gather polls and decodes, apply writes, observe lists the end
// offsets. Two batches circulate between the first two, so that decoding and writing overlap and memory is bounded.
func (g *Ingester) consume(ctx context.Context) error {
	admin, err := g.connect(adminOption)
	if err != nil {
		return err
	}
	defer admin.Close()
	l, err := g.establish(ctx, admin)
	if err != nil || l == nil {
		return err
	}
	g.adviseTopics(ctx, admin)
	at := map[string]map[int32]kgo.Offset{}
	for id := range l.Partitions {
		g.startAt(at, id)
	}
	cl, err := g.connect(g.fetchOptions(at)...)
	if err != nil {
		return err
	}
	defer cl.Close()
	g.reading()

	s := &stream{
		Ingester: g, admin: admin, client: cl,
		full: make(chan *batch), free: make(chan *batch, 2),
		listings: make(chan *listing), wake: make(chan struct{}, 1), written: make(chan struct{}),
		next: map[state.PartitionID]int64{},
	}
	s.free <- newBatch()
	s.free <- newBatch()
	work, ctx := errgroup.WithContext(ctx)
	js, end := s.judges(ctx, work)
	work.Go(func() error {
		defer end()
		return s.gather(ctx, js)
	})
	work.Go(func() error { return s.apply(l) })
	work.Go(func() error { return s.observe(ctx) })
	return work.Wait()
}

// judges decode into batches, or are workers that decode into a bulk load until gather ends.
func (s *stream) judges(ctx context.Context, work *errgroup.Group) (js judges, end func()) {
	if s.bulk == nil {
		return newDecoders(s.identity.Rules), func() {}
	}
	b := newBulk(ctx, s.bulk)
	for i := range b.Workers() {
		work.Go(func() error { return b.work(i, decode.Lending(s.identity.Rules)) })
	}
	return b, func() { close(b.parts) }
}

// startAt adds the start of a partition to at.
func (g *Ingester) startAt(at map[string]map[int32]kgo.Offset, id state.PartitionID) {
	name := g.tracker.topics[id.Topic].Name
	if at[name] == nil {
		at[name] = map[int32]kgo.Offset{}
	}
	next, epoch := g.tracker.place(id)
	at[name][id.Partition] = kgo.NewOffset().At(next).WithEpoch(epoch)
}

// fetchOptions are the options of a client that reads exactly from the given offsets. An offset outside the log is
// an error, never a reset.
func (g *Ingester) fetchOptions(at map[string]map[int32]kgo.Offset) []kgo.Opt {
	return []kgo.Opt{
		kgo.ConsumePartitions(at),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(),
		kgo.FetchMaxBytes(g.cfg.FetchBytes),
		kgo.FetchMaxPartitionBytes(partitionBytes(g.cfg.FetchBytes, at)),
		kgo.FetchMaxWait(500 * time.Millisecond),
		kgo.MaxConcurrentFetches(2),
		kgo.MaxDecompressBatchBytes(g.cfg.DecompressBytes),
		kgo.MetadataMaxAge(time.Minute),
		kgo.WithPools(&recycler{}),
	}
}

// partitionBytes is the share of each partition in a fetch. Without it a broker may send one partition to its end
// before the next, and a state that catches up would process the same days once per partition.
func partitionBytes(fetch int32, at map[string]map[int32]kgo.Offset) int32 {
	const least = 256 << 10
	partitions := 0
	for _, of := range at {
		partitions += len(of)
	}
	return min(fetch, max(fetch/int32(max(partitions, 1)), least))
}

// stream connects the goroutines of one run.
type stream struct {
	*Ingester
	admin, client *kgo.Client

	full     chan *batch   // gather → apply; closed by gather
	free     chan *batch   // apply → gather
	listings chan *listing // observe → apply; closed by observe
	wake     chan struct{} // anyone → observe: make a listing now
	written  chan struct{} // closed when apply has ended

	next map[state.PartitionID]int64 // owned by gather: the next offset of each partition
	// fetchTrouble is the time of the last error that gather saw, in nanoseconds.
	fetchTrouble atomic.Int64
}

// gather polls, decodes into a batch, and passes the batch on when it is large enough, or when the writer is idle
// and the brokers have no more records.
func (s *stream) gather(ctx context.Context, js judges) (err error) {
	defer close(s.full)
	var b *batch
	backoff := minBackoff
	for {
		if b == nil {
			select {
			case b = <-s.free:
			case <-ctx.Done():
				return nil
			}
		}
		fetches := s.poll(ctx, b)
		if ctx.Err() != nil {
			return s.handOver(b) // the current batch is decoded and is written
		}
		err := s.take(ctx, js, b, fetches)
		if _, stop := errors.AsType[*Stop](err); stop {
			return errors.Join(err, s.handOver(b))
		}
		if err != nil && fetches.NumRecords() == 0 {
			s.trouble(err)
			s.fetchTrouble.Store(s.deps.Now().UnixNano())
			s.look()
			if !sleep(ctx, backoff) {
				return s.handOver(b)
			}
			backoff = min(2*backoff, maxBackoff)
			continue
		}
		if err == nil && fetches.NumRecords() > 0 {
			backoff = minBackoff
		}
		if s.due(b) {
			select {
			case s.full <- b:
				b = nil
			case <-ctx.Done():
				return s.handOver(b)
			}
		}
	}
}

// handOver passes b, the current batch, to the writer, unless the writer has ended.
func (s *stream) handOver(b *batch) error {
	if b.empty() {
		return nil
	}
	select {
	case s.full <- b:
	case <-s.written:
	}
	return nil
}

// poll waits for records: without a limit for an empty batch, else until the linger time.
func (s *stream) poll(ctx context.Context, b *batch) kgo.Fetches {
	if !b.empty() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, time.Now().Add(s.cfg.Linger/4))
		defer cancel()
	}
	return s.client.PollRecords(ctx, min(pollRecords, max(1, s.cfg.BatchRecords-b.count)))
}

// due reports whether a batch must be written now: it is full, or the last one, or the linger time is over and the
// topic has not enough records to fill it.
func (s *stream) due(b *batch) bool {
	if b.empty() {
		return false
	}
	if b.count >= s.cfg.BatchRecords || b.bytes >= s.cfg.BatchBytes || s.until != nil && s.tracker.reached(s.until, s.next) {
		return true
	}
	if s.deps.Now().Sub(b.since) < s.cfg.Linger {
		return false
	}
	return s.tracker.remaining(s.next) < int64(s.cfg.BatchRecords/2) || s.deps.Now().Sub(b.since) > 20*s.cfg.Linger
}

// take decodes fetched records into b. It returns a *Stop, or an error to retry. Records that arrive with an error are
// decoded too.
func (s *stream) take(ctx context.Context, js judges, b *batch, fetches kgo.Fetches) error {
	var faults []error
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		id, ok := s.partitionID(p.Topic, p.Partition)
		if p.Err != nil {
			if err := s.judgeError(ctx, p); err != nil {
				faults = append(faults, err)
			}
		}
		if !ok || len(p.Records) == 0 {
			return
		}
		if s.until != nil {
			p.Records = before(p.Records, s.until[id])
		}
		next, ok := s.next[id]
		if !ok {
			next, _ = s.tracker.place(id)
		}
		t := s.tracker.topics[id.Topic]
		s.next[id] = b.add(js, t, &p.FetchPartition, next, s.tracker.holesExplained(id), s.deps.Now())
		s.metrics.fetched.WithLabelValues(t.Name).Add(float64(len(p.Records)))
	})
	for _, err := range faults {
		if _, stop := errors.AsType[*Stop](err); stop {
			return err
		}
	}
	return errors.Join(faults...)
}

// before returns the records before offset end. Records are in log order.
func before(records []*kgo.Record, end int64) []*kgo.Record {
	n, _ := slices.BinarySearchFunc(records, end, func(r *kgo.Record, end int64) int { return cmp.Compare(r.Offset, end) })
	return records[:n]
}

// partitionID returns the state's identifier of a partition.
func (s *stream) partitionID(topic string, partition int32) (state.PartitionID, bool) {
	for o, t := range s.tracker.topics {
		if t.Name == topic {
			return state.PartitionID{Topic: o, Partition: partition}, true
		}
	}
	return state.PartitionID{}, false
}

// judgeError classifies an error of a fetch: a *Stop if input would be lost, nil if it has no meaning, and any
// other error to retry.
func (s *stream) judgeError(ctx context.Context, p kgo.FetchTopicPartition) error {
	err := p.Err
	stop := func(cause error, remedy string, detail string, args ...any) error {
		// A listing may have a better reason.
		if found := s.inspect(ctx); found != nil {
			return found
		}
		return &Stop{Topic: p.Topic, Partition: p.Partition, Cause: cause, Detail: fmt.Sprintf(detail, args...), Remedy: remedy}
	}
	if loss, ok := errors.AsType[*kgo.ErrDataLoss](err); ok {
		return stop(ErrLogTruncated, remedyRebuild, "read up to offset %d, of which what follows %d was replaced", loss.ConsumedTo, loss.ResetTo)
	}
	if large, ok := errors.AsType[*kgo.ErrDecompressTooLarge](err); ok {
		return &Stop{
			Topic: p.Topic, Partition: p.Partition, Cause: ErrBatchTooLarge,
			Detail: fmt.Sprintf("the batch at offset %d decompresses to more than %d bytes", large.Offset, s.cfg.DecompressBytes),
			Remedy: "raise --decompress-bytes if the batch is meant to be there",
		}
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, kgo.ErrClientClosed):
		return nil
	case errors.Is(err, kerr.OffsetOutOfRange):
		return stop(ErrLogTrimmed, remedyRebuild, "the broker does not have the offset to read next")
	case errors.Is(err, kerr.UnknownTopicID), errors.Is(err, kerr.InconsistentTopicID), errors.Is(err, kerr.UnknownTopicOrPartition):
		if found := s.inspect(ctx); found != nil {
			return found
		}
	case errors.Is(err, kerr.CorruptMessage), isUnreadable(err):
		return stop(ErrLogDamaged, remedyDamaged, "a batch at or after offset %d cannot be read: %v", s.after(p), err)
	}
	return s.cfg.Kafka.Explain("topic "+p.Topic, err)
}

// after is the offset after the last fetched record of a partition.
func (s *stream) after(p kgo.FetchTopicPartition) int64 {
	if n := len(p.Records); n > 0 {
		return p.Records[n-1].Offset + 1
	}
	id, _ := s.partitionID(p.Topic, p.Partition)
	if next, ok := s.next[id]; ok {
		return next
	}
	next, _ := s.tracker.place(id)
	return next
}

// inspect lists the topics and returns the *Stop that the listing shows, or nil.
func (s *stream) inspect(ctx context.Context) error {
	l, err := s.list(ctx, s.admin)
	if err != nil {
		return nil // the next listing decides
	}
	if err := sameInput(s.identity, l); err != nil {
		return err
	}
	for id, b := range l.Partitions {
		if !s.tracker.known(id) {
			continue
		}
		next, _ := s.tracker.place(id)
		gp, err := checkPosition(s.tracker.topics[id.Topic], id, &state.Position{NextOffset: next}, b)
		if err != nil {
			return err
		}
		if gp != nil {
			return gp.stop()
		}
	}
	return nil
}

// look requests a listing.
func (s *stream) look() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
