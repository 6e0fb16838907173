package produce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/delivery"
)

const (
	// pollRecords bounds the records of one poll.
	pollRecords = 10_000
	// idleTimeout bounds how long the brokers may send nothing of a topic that has more.
	idleTimeout = time.Minute
)

// OffsetRange is a part of a partition: [First, Next).
type OffsetRange struct{ First, Next int64 }

// Topic is the topic that a load pushes to, as far as its marks are read.
type Topic interface {
	// Offsets gives for each partition the records that it has now.
	Offsets(ctx context.Context) (map[int32]OffsetRange, error)
	// ReadMarks calls f for the mark of each record of a kept load in the ranges,
	// and ends with f's error. It may leave out records that this load pushed.
	ReadMarks(ctx context.Context, ranges map[int32]OffsetRange, f func(delivery.Mark) error) error
}

// checkNewest returns delivery.ErrStale unless the index knows every load of its
// source that the topic has. It reads the topic from where the index knows it to
// its present end, and makes durable that it did.
func (d *Delivery) checkNewest(ctx context.Context, index *delivery.Index) error {
	if d.DryRun {
		return nil // it has no connection to the topic
	}
	offsets, err := d.Log.Offsets(ctx)
	if err != nil {
		return err
	}
	known := index.NextOffsets()
	for partition, next := range known {
		if o, there := offsets[partition]; !there || o.Next < next {
			return fmt.Errorf("%w: the index has read partition %d of topic %s up to offset %d, and the partition ends at %d: the topic was cut short or recreated: run produce --rebuild-deliveries",
				delivery.ErrStale, partition, d.Topic, next, o.Next)
		}
	}
	ends := map[int32]int64{}
	for partition, o := range offsets {
		if next := known[partition]; next < o.First && !d.Trust {
			return fmt.Errorf("%w: the index has read partition %d of topic %s up to offset %d, and the partition begins at %d: retention has removed records that may be of a later load: use the newest copy of the directory and add --trust-deliveries",
				delivery.ErrStale, partition, d.Topic, next, o.First)
		}
		ends[partition] = o.Next
		offsets[partition] = OffsetRange{First: max(o.First, known[partition]), Next: o.Next}
	}
	if err := d.Log.ReadMarks(ctx, offsets, index.CheckMark); err != nil {
		return err
	}
	return index.SetNextOffsets(ends)
}

// checkStillNewest is checkNewest for an index whose load has pushed something: the
// lock of a directory keeps no load away that uses another directory.
func (d *Delivery) checkStillNewest(ctx context.Context, index *delivery.Index) error {
	err := d.checkNewest(ctx, index)
	if errors.Is(err, delivery.ErrStale) {
		return fmt.Errorf("another load of the source was pushed at the same time: run this one again after --rebuild-deliveries: %w", err)
	}
	return err
}

// markDecoder reads the marks of records. Neighbours often have the same one.
type markDecoder struct {
	text []byte
	mark delivery.Mark
}

// of is a record's mark, valid until the next call; nil if it has none.
func (m *markDecoder) of(record *kgo.Record) (*delivery.Mark, error) {
	at := slices.IndexFunc(record.Headers, func(h kgo.RecordHeader) bool { return h.Key == delivery.HeaderKey })
	if at < 0 || record.Attrs.IsControl() {
		return nil, nil
	}
	if value := record.Headers[at].Value; m.text == nil || string(value) != string(m.text) {
		m.mark, m.text = delivery.Mark{}, nil
		if err := json.Unmarshal(value, &m.mark); err != nil {
			return nil, fmt.Errorf("header %s: %w", delivery.HeaderKey, err)
		}
		m.text = append([]byte{}, value...)
	}
	return &m.mark, nil
}

// Offsets is Topic's.
func (p *Pusher) Offsets(ctx context.Context) (map[int32]OffsetRange, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	admin := kadm.NewClient(p.client)
	starts, err := admin.ListStartOffsets(ctx, p.topic)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, p.config.Explain("topic "+p.topic, fmt.Errorf("list offsets: %w", err))
	}
	ends, err := admin.ListEndOffsets(ctx, p.topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, p.config.Explain("topic "+p.topic, fmt.Errorf("list offsets: %w", err))
	}
	offsets := map[int32]OffsetRange{}
	for partition, end := range ends[p.topic] {
		offsets[partition] = OffsetRange{First: starts[p.topic][partition].Offset, Next: end.Offset}
	}
	return offsets, nil
}

// ReadMarks is Topic's. Of the records that this Pusher pushed it leaves out those
// that follow each other, from the beginning of a range on.
func (p *Pusher) ReadMarks(ctx context.Context, ranges map[int32]OffsetRange, f func(delivery.Mark) error) error {
	for partition, r := range ranges {
		if own := p.ownRecords(partition); own.First <= r.First && r.First < own.Next {
			ranges[partition] = OffsetRange{First: own.Next, Next: r.Next}
		}
	}
	var marks markDecoder
	return p.config.Explain("topic "+p.topic, p.read(ctx, ranges, func(record *kgo.Record) error {
		mark, err := marks.of(record)
		if mark == nil || err != nil {
			return err
		}
		return f(*mark)
	}, nil))
}

// read hands every record of the ranges to f, control records too, and ends with
// its error.
func (p *Pusher) read(ctx context.Context, ranges map[int32]OffsetRange, f func(*kgo.Record) error, progress func(done, total int64)) error {
	next := map[int32]int64{} // of the ranges that are not read
	from := map[int32]kgo.Offset{}
	var done, total int64
	for partition, r := range ranges {
		if r.First < r.Next {
			next[partition], from[partition] = r.Next, kgo.NewOffset().At(r.First)
			total += r.Next - r.First
		}
	}
	if len(next) == 0 {
		return nil
	}
	opts, err := p.config.Options(p.log)
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(append(opts,
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{p.topic: from}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.KeepControlRecords(), // the last record of a range may be one
	)...)
	if err != nil {
		return fmt.Errorf("make a Kafka client: %w", err)
	}
	defer client.Close()
	for len(next) > 0 {
		waiting, cancel := context.WithTimeout(ctx, idleTimeout)
		fetches := client.PollRecords(waiting, pollRecords)
		timedOut := waiting.Err() != nil && fetches.NumRecords() == 0
		cancel()
		switch err := fetches.Err(); {
		case ctx.Err() != nil:
			return ctx.Err()
		case timedOut:
			return fmt.Errorf("the brokers sent nothing for %s, and have not sent %s", idleTimeout, missing(next))
		case err != nil && !errors.Is(err, context.DeadlineExceeded):
			return err
		}
		for it := fetches.RecordIter(); !it.Done(); {
			record := it.Next()
			end, wanted := next[record.Partition]
			if !wanted {
				continue
			}
			if record.Offset < end {
				if err := f(record); err != nil {
					return fmt.Errorf("partition %d, offset %d: %w", record.Partition, record.Offset, err)
				}
				done++
			}
			if record.Offset+1 >= end {
				delete(next, record.Partition)
				client.PauseFetchPartitions(map[string][]int32{p.topic: {record.Partition}})
			}
		}
		if progress != nil {
			progress(min(done, total), total)
		}
	}
	return nil
}

// missing names the partitions that were not read to their next offset.
func missing(next map[int32]int64) string {
	var texts []string
	for partition, offset := range next {
		texts = append(texts, fmt.Sprintf("partition %d up to offset %d", partition, offset))
	}
	slices.Sort(texts)
	return strings.Join(texts, ", ")
}
