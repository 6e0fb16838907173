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

// How records go into a load: partRecords at a time, of which partsWaiting for each worker may wait, so that
// the others go on while one writes what it has sorted.
const (
	partRecords  = 2_000
	partsWaiting = 4
)

// bulkRecords is after how many records at most a load's positions move.
const bulkRecords = 50_000

// bulk decodes records straight into a load, on all cores. It is made for one run.
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

// judge shares records out to the workers. What is cut off when the run ends is of a load that failed.
func (b *bulk) judge(_ *batch, t state.Topic, delivered []*kgo.Record) {
	for records := range slices.Chunk(slices.Clone(delivered), partRecords) {
		select {
		case b.parts <- part{t, records}:
		case <-b.ended:
			return
		}
	}
}

// work is one worker: it takes parts until there are no more.
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

// loadBulk reads the topics up to until, in bulk, and makes all of it durable at once. Half of the way is to read
// and to sort, the other half to merge what was sorted.
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

// bulkEnds are how far the topics are loaded in bulk: to where the old state stopped if the two are to be
// compared, else to what may be read of them now.
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

// oldPositions are where the old state stopped.
func oldPositions(old *state.Reader) (map[state.PartitionID]int64, error) {
	positions, err := old.Positions()
	until := make(map[state.PartitionID]int64, len(positions))
	for _, p := range positions {
		until[p.Partition] = p.NextOffset
	}
	return until, err
}
