package ingest

import (
	"bytes"
	"runtime"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/billing"
	"daybook/internal/decode"
	"daybook/internal/state"
)

// minDecodeShare is the number of records below which another goroutine costs more than it saves.
const minDecodeShare = 256

// decoders judges records into a batch, with one decoder per core.
type decoders []*decoder

// newDecoders returns one decoder per usable core.
func newDecoders(rules billing.Rules) decoders {
	ds := make(decoders, runtime.GOMAXPROCS(0))
	for i := range ds {
		ds[i] = &decoder{lending: decode.Lending(rules), keeping: decode.New(rules)}
	}
	return ds
}

// judge adds the verdicts to the batch; each core fills a part of its own.
func (ds decoders) judge(b *batch, t state.Topic, records []*kgo.Record) {
	id := state.PartitionID{Topic: t.Ordinal, Partition: records[0].Partition}
	workers := min(len(ds), (len(records)+minDecodeShare-1)/minDecodeShare)
	if workers <= 1 {
		ds[0].judge(t, records, b.lastPart(id))
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		share, part := records[len(records)*w/workers:len(records)*(w+1)/workers], b.part(id)
		wg.Go(func() { ds[w].judge(t, share, part) })
	}
	wg.Wait()
}

// decoder judges records on one core.
type decoder struct {
	lending *decode.Decoder
	keeping *decode.Decoder // for records whose memory a part retains
	record  state.Record
}

// judge adds the verdicts on records to a part. The part does not refer to them afterwards.
func (d *decoder) judge(t state.Topic, records []*kgo.Record, out *state.PackedPart) {
	for _, r := range records {
		judgeOne(d.lending, t, r, &d.record)
		if d.record.Rejection != nil || d.record.Event.Op == billing.Delete {
			judgeOne(d.keeping, t, r, &d.record)
		}
		out.Add(&d.record)
		r.Recycle()
	}
}

// judgeOne judges one record. The verdict does not refer to r afterwards.
func judgeOne(d *decode.Decoder, t state.Topic, r *kgo.Record, out *state.Record) {
	rec := decode.Record{
		Topic:  t.Name,
		Source: billing.Source{Topic: t.Ordinal, Partition: r.Partition, Offset: r.Offset, RecordTime: recordTime(r)},
		Null:   r.Value == nil,
		Value:  r.Value,
	}
	*out = state.Record{Size: len(r.Value)}
	out.Rounded, out.Rejection = d.Decode(rec, &out.Event)
	if out.Rejection != nil {
		out.Key, out.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
	}
}
