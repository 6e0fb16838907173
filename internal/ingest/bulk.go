package ingest

import (
	"context"
	"slices"

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

// bulk decodes records straight into a load, on all cores. It is made for one run.
type bulk struct {
	*state.Load
	parts chan part
	ended <-chan struct{} // of the run's context
}

// part is some records of one partition.
type part struct {
	topic   state.Topic
	records []*kgo.Record
}

func newBulk(ctx context.Context, l *state.Load) *bulk {
	return &bulk{Load: l, parts: make(chan part, partsWaiting*l.Workers()), ended: ctx.Done()}
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
			if err := b.Take(worker, &out); err != nil {
				return err
			}
			r.Recycle()
		}
	}
	return nil
}
