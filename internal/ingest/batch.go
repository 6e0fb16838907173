package ingest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/billing"
	"daybook/internal/state"
)

// batch collects the records of one write. It is reused.
type batch struct {
	parts    []*state.PackedPart // decoded records; none in a bulk load
	free     []*state.PackedPart
	count    int // records delivered
	advances []state.Advance
	index    map[state.PartitionID]int // into advances
	holes    []hole                    // not explained yet
	bytes    int64
	since    time.Time // time of the first record

	delivered []*kgo.Record // scratch of add
}

// hole is a range of offsets [From, Next) that the broker did not deliver.
type hole struct {
	partition  state.PartitionID
	topic      string
	From, Next int64
}

// newBatch returns an empty batch.
func newBatch() *batch { return &batch{index: map[state.PartitionID]int{}} }

// empty reports whether the batch writes nothing.
func (b *batch) empty() bool { return len(b.advances) == 0 }

// reset empties b and keeps its memory.
func (b *batch) reset() {
	clear(b.index)
	b.free = append(b.free, b.parts...)
	b.parts, b.advances, b.holes = b.parts[:0], b.advances[:0], b.holes[:0]
	b.count, b.bytes = 0, 0
}

// judges decides the verdicts on records.
type judges interface {
	// judge adds delivered records of one partition to b, or to a bulk load. It must not retain the slice. It owns the
	// records and returns their memory to the client.
	judge(b *batch, t state.Topic, delivered []*kgo.Record)
}

// add adds the fetched records of one partition, starting at offset next, and returns the next offset. If
// compacted, missing offsets are expected. The memory of the records is returned to the client.
func (b *batch) add(js judges, t state.Topic, p *kgo.FetchPartition, next int64, compacted bool, now time.Time) int64 {
	if len(p.Records) == 0 {
		return next
	}
	if b.empty() {
		b.since = now
	}
	id := state.PartitionID{Topic: t.Ordinal, Partition: p.Partition}
	i, ok := b.index[id]
	if !ok {
		i = len(b.advances)
		b.index[id] = i
		b.advances = append(b.advances, state.Advance{Partition: id, From: next, Next: next, LeaderEpoch: -1, LastOffset: -1, HolesExplained: compacted})
	}
	a := &b.advances[i]
	delivered := b.delivered[:0]
	for _, r := range p.Records {
		if r.Offset < a.Next { // a broker may send records before the requested offset
			r.Recycle()
			continue
		}
		if r.Attrs.IsTransactional() || r.Attrs.IsControl() {
			a.HolesExplained = true
		}
		if missing := r.Offset - a.Next; missing > 0 {
			a.Holes += missing
			b.holes = append(b.holes, hole{partition: id, topic: t.Name, From: a.Next, Next: r.Offset})
		}
		a.Next = r.Offset + 1
		a.LeaderEpoch = r.LeaderEpoch
		if r.Attrs.IsControl() {
			a.Control++
			r.Recycle()
			continue
		}
		a.Delivered++
		delivered = append(delivered, r)
		b.bytes += int64(len(r.Value) + len(r.Key))
	}
	if n := len(delivered); n > 0 {
		a.LastOffset, a.LastDigest = delivered[n-1].Offset, recordDigest(delivered[n-1])
		b.count += n
		js.judge(b, t, delivered)
	}
	b.delivered = delivered
	return a.Next
}

// part returns an empty part for records of a partition.
func (b *batch) part(id state.PartitionID) *state.PackedPart {
	p := &state.PackedPart{}
	if n := len(b.free); n > 0 {
		p, b.free = b.free[n-1], b.free[:n-1]
	}
	p.Reset(id)
	b.parts = append(b.parts, p)
	return p
}

// lastPart returns the last part if it belongs to the partition, else a new one.
func (b *batch) lastPart(id state.PartitionID) *state.PackedPart {
	if n := len(b.parts); n > 0 && b.parts[n-1].Partition == id {
		return b.parts[n-1]
	}
	return b.part(id)
}

// write returns the batch as the state's Batch.
func (b *batch) write() *state.Batch { return &state.Batch{Parts: b.parts, Advances: b.advances} }

// recordTime is the timestamp of the record in milliseconds; -1 if it has none.
func recordTime(r *kgo.Record) int64 {
	if r.Attrs.TimestampType() == -1 {
		return -1
	}
	return max(r.Timestamp.UnixMilli(), -1)
}

// recordDigest identifies a record: 16 bytes of the SHA-256 of its timestamp, key and value, each with its length. Null
// differs from empty.
func recordDigest(r *kgo.Record) billing.Digest {
	h := sha256.New()
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(recordTime(r)))
	h.Write(n[:])
	for _, part := range [][]byte{r.Key, r.Value} {
		length := int64(len(part))
		if part == nil {
			length = -1
		}
		binary.BigEndian.PutUint64(n[:], uint64(length))
		h.Write(n[:])
		h.Write(part)
	}
	var d billing.Digest
	copy(d[:], h.Sum(nil))
	return d
}

// damaged returns the hole as an error.
func (h hole) damaged() *Stop {
	return &Stop{
		Topic: h.topic, Partition: h.partition.Partition, Cause: ErrLogDamaged,
		Detail: fmt.Sprintf("the broker skips offsets %d to %d, and the topic is neither transactional nor compacted", h.From, h.Next-1),
		Remedy: "find out on the broker what became of them; restore the topic and use `ingest rebuild`",
	}
}
