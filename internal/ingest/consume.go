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

// pollRecords bounds what one poll hands over, so that decoding can be shared out
// and a batch does not grow much over its bounds.
const pollRecords = 20_000

// consume reads until ctx ends. It is three goroutines: gather polls and decodes,
// apply writes, observe lists the ends. Two batches go round between the
// first two, so that decoding and writing overlap and memory is bounded.
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

// judges are what decodes: into batches, or workers that decode into a load until gather ends.
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

// startAt adds a partition's start to at.
func (g *Ingester) startAt(at map[string]map[int32]kgo.Offset, id state.PartitionID) {
	name := g.board.topics[id.Topic].Name
	if at[name] == nil {
		at[name] = map[int32]kgo.Offset{}
	}
	next, epoch := g.board.place(id)
	at[name][id.Partition] = kgo.NewOffset().At(next).WithEpoch(epoch)
}

// fetchOptions make a client that reads exactly from the offsets given. An offset
// outside the log is an error, never a reset.
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

// partitionBytes is each partition's share of a fetch. Were one allowed to fill it, a broker might send one
// partition to its end before it begins with the next, and a state that catches up would go through the same days
// once for each of them.
func partitionBytes(fetch int32, at map[string]map[int32]kgo.Offset) int32 {
	const least = 256 << 10
	partitions := 0
	for _, of := range at {
		partitions += len(of)
	}
	return min(fetch, max(fetch/int32(max(partitions, 1)), least))
}

// stream is one run's way from the brokers to the state.
type stream struct {
	*Ingester
	admin, client *kgo.Client

	full     chan *batch   // gather → apply; closed by gather
	free     chan *batch   // apply → gather
	listings chan *listing // observe → apply; closed by observe
	wake     chan struct{} // anyone → observe: make a listing now
	written  chan struct{} // closed when apply has ended

	next map[state.PartitionID]int64 // gather's: where each partition goes on
	// fetchTrouble is when gather last saw an error, in nanoseconds.
	fetchTrouble atomic.Int64
}

// gather polls and decodes into a batch and hands it over when it is large enough
// or when the writer is idle and the brokers have no more for now.
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

// poll waits for records: for ever with an empty batch, else until it has lingered.
func (s *stream) poll(ctx context.Context, b *batch) kgo.Fetches {
	if !b.empty() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, time.Now().Add(s.cfg.Linger/4))
		defer cancel()
	}
	return s.client.PollRecords(ctx, min(pollRecords, max(1, s.cfg.BatchRecords-b.count)))
}

// due reports whether a batch is to be written now: when it is full, when it is the last to be read, or when it has
// lingered while there is not enough left in the topic to fill it.
func (s *stream) due(b *batch) bool {
	if b.empty() {
		return false
	}
	if b.count >= s.cfg.BatchRecords || b.bytes >= s.cfg.BatchBytes || s.until != nil && s.board.reached(s.until, s.next) {
		return true
	}
	if s.deps.Now().Sub(b.since) < s.cfg.Linger {
		return false
	}
	return s.board.remaining(s.next) < int64(s.cfg.BatchRecords/2) || s.deps.Now().Sub(b.since) > 20*s.cfg.Linger
}

// take decodes what was fetched into b. It returns a *Stop, or an error to be
// retried; the records beside an error are taken all the same.
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
			next, _ = s.board.place(id)
		}
		t := s.board.topics[id.Topic]
		s.next[id] = b.add(js, t, &p.FetchPartition, next, s.board.holesExplained(id), s.deps.Now())
		s.metrics.fetched.WithLabelValues(t.Name).Add(float64(len(p.Records)))
	})
	for _, err := range faults {
		if _, stop := errors.AsType[*Stop](err); stop {
			return err
		}
	}
	return errors.Join(faults...)
}

// before are the records before offset end; records are in the order of the log.
func before(records []*kgo.Record, end int64) []*kgo.Record {
	n, _ := slices.BinarySearchFunc(records, end, func(r *kgo.Record, end int64) int { return cmp.Compare(r.Offset, end) })
	return records[:n]
}

// partitionID is the state's name of a partition.
func (s *stream) partitionID(topic string, partition int32) (state.PartitionID, bool) {
	for o, t := range s.board.topics {
		if t.Name == topic {
			return state.PartitionID{Topic: o, Partition: partition}, true
		}
	}
	return state.PartitionID{}, false
}

// judgeError sorts an error of a fetch: a *Stop where input would be lost, nil where
// it says nothing, and everything else to be retried.
func (s *stream) judgeError(ctx context.Context, p kgo.FetchTopicPartition) error {
	err := p.Err
	stop := func(cause error, remedy string, detail string, args ...any) error {
		// A listing may know better what has become of the topic.
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

// after is the offset after the last that was fetched of a partition.
func (s *stream) after(p kgo.FetchTopicPartition) int64 {
	if n := len(p.Records); n > 0 {
		return p.Records[n-1].Offset + 1
	}
	id, _ := s.partitionID(p.Topic, p.Partition)
	if next, ok := s.next[id]; ok {
		return next
	}
	next, _ := s.board.place(id)
	return next
}

// inspect makes a listing and returns the *Stop that it shows, or nil.
func (s *stream) inspect(ctx context.Context) error {
	l, err := s.list(ctx, s.admin)
	if err != nil {
		return nil // the next listing will tell
	}
	if err := sameInput(s.identity, l); err != nil {
		return err
	}
	for id, b := range l.Partitions {
		if !s.board.known(id) {
			continue
		}
		next, _ := s.board.place(id)
		gp, err := place(s.board.topics[id.Topic], id, &state.Position{NextOffset: next}, b)
		if err != nil {
			return err
		}
		if gp != nil {
			return gp.stop()
		}
	}
	return nil
}

// look asks for a listing soon.
func (s *stream) look() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
