package ingest

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/decode"
	"daybook/internal/state"
)

// Records are passed to a bulk load partRecords at a time. partsWaiting parts per worker may wait, so that the others
// continue while one writes a sorted run.
const (
	partRecords  = 2_000
	partsWaiting = 4
)

// bulkRecords is the largest number of records between two advances of a bulk load's positions.
const bulkRecords = 50_000

// bulk decodes records into a bulk load, on all cores. It is for one run.
type bulk struct {
	*state.BulkLoad
	parts chan part
	ended <-chan struct{} // of the run's context
}

// part is some records of one partition.
type part struct {
	topic   state.Topic
	records []*kgo.Record
}

func newBulk(ctx context.Context, l *state.BulkLoad) *bulk {
	return &bulk{BulkLoad: l, parts: make(chan part, partsWaiting*l.Workers()), ended: ctx.Done()}
}

// judge distributes records to the workers. If the run ends, the remaining records are dropped with the failed load.
func (b *bulk) judge(_ *batch, t state.Topic, delivered []*kgo.Record) {
	for records := range slices.Chunk(slices.Clone(delivered), partRecords) {
		select {
		case b.parts <- part{t, records}:
		case <-b.ended:
			return
		}
	}
}

// work is one worker: it processes parts until there are no more.
func (b *bulk) work(worker int, d *decode.Decoder) error {
	for p := range b.parts {
		for _, r := range p.records {
			var out state.Record
			judgeOne(d, p.topic, r, &out)
			if err := b.Add(worker, &out); err != nil {
				return err
			}
			r.Recycle()
		}
	}
	return nil
}

// loadBulk reads the topics up to until into a bulk load and makes it durable in one step. The first half of the
// progress is reading and sorting, the second half is merging.
func (g *Ingester) loadBulk(ctx context.Context, until map[state.PartitionID]int64, memory int64) (err error) {
	load, err := g.store.NewBulkLoad(memory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, load.Close()) }()
	total := int64(0)
	for _, end := range until {
		total += end
	}
	reader := &Ingester{cfg: g.cfg, opts: g.opts, deps: g.deps, store: g.store, throttled: g.throttled, until: until, bulk: load}
	reader.cfg.BatchRecords = min(g.cfg.BatchRecords, bulkRecords)
	reader.deps.Progress = func(done, total int64) { g.deps.Progress(done/2, total) }
	if err := reader.replay(ctx); err != nil {
		return err
	}
	merging, stop := context.WithCancel(ctx)
	var telling sync.WaitGroup
	telling.Go(func() {
		for sleep(merging, progressInterval) {
			merged, rows := load.Progress()
			g.deps.Progress(int64(float64(total)/2*(1+float64(merged)/float64(max(rows, 1)))), total)
		}
	})
	_, err = load.Commit(ctx)
	stop()
	telling.Wait()
	if err == nil {
		g.deps.Progress(total, total)
	}
	return err
}

// bulkEnds returns the offsets up to which the topics are loaded in bulk: those of the old state if the two are
// compared, else the current ends.
func bulkEnds(ctx context.Context, cfg Config, opts RebuildOptions, old *state.Reader, store *state.Store, deps Deps) (map[state.PartitionID]int64, error) {
	if opts.Verify {
		return oldPositions(old)
	}
	g := &Ingester{cfg: cfg, deps: deps, identity: store.Identity()}
	admin, err := g.connect(adminOption)
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	l, err := g.listNew(ctx, admin)
	if err != nil {
		return nil, err
	}
	until := make(map[state.PartitionID]int64, len(l.Partitions))
	for id, b := range l.Partitions {
		until[id] = b.Stable
	}
	return until, nil
}

// oldPositions returns the positions of the old state.
func oldPositions(old *state.Reader) (map[state.PartitionID]int64, error) {
	positions, err := old.Positions()
	until := make(map[state.PartitionID]int64, len(positions))
	for _, p := range positions {
		until[p.Partition] = p.NextOffset
	}
	return until, err
}
