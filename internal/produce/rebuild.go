package produce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/billing"
	"daybook/internal/decode"
	"daybook/internal/delivery"
	"daybook/internal/kafka"
)

// RebuiltSource is what a rebuild found of one source.
type RebuiltSource struct {
	Source  string `json:"source"`
	Records int64  `json:"records"`
	Held    int64  `json:"ids"`
}

// RebuildDeliveries reads a topic from its beginning to its present end and
// makes the index of every source that delivered to it anew, from the marks that
// its loads left on their records. A topic whose beginning is gone is refused.
func RebuildDeliveries(ctx context.Context, config kafka.Config, topic, dir string, log *slog.Logger, progress func(done, total int64)) (_ []RebuiltSource, err error) {
	p, err := NewPusher(ctx, config, topic, 0, log)
	if err != nil {
		return nil, err
	}
	defer p.client.Close()
	r := rebuild{
		topic: topic, topicID: p.TopicID(), dir: dir, decoder: decode.New(surveyRules()),
		sources: map[string]*rebuiltSource{}, progress: progress,
	}
	defer func() {
		for _, s := range r.sources {
			err = errors.Join(err, s.index.Close())
		}
	}()
	if err := r.read(ctx, config, p.client, log); err != nil {
		return nil, config.Explain("topic "+topic, err)
	}
	var all []RebuiltSource
	for _, name := range slices.Sorted(maps.Keys(r.sources)) {
		s := r.sources[name]
		held, err := s.rebuild.Finish()
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", name, err)
		}
		all = append(all, RebuiltSource{Source: name, Records: s.records, Held: held})
	}
	return all, nil
}

// rebuild is one reading of a topic.
type rebuild struct {
	topic, topicID, dir string

	decoder  *decode.Decoder
	event    billing.Event
	sources  map[string]*rebuiltSource
	progress func(done, total int64)

	lastMark []byte // neighbours often have the same
	mark     delivery.Mark
}

type rebuiltSource struct {
	index   *delivery.Index
	rebuild *delivery.Rebuild
	records int64
}

// read takes every record up to the ends that the partitions have now.
func (r *rebuild) read(ctx context.Context, config kafka.Config, asking *kgo.Client, log *slog.Logger) error {
	admin := kadm.NewClient(asking)
	starts, err := admin.ListStartOffsets(ctx, r.topic)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return fmt.Errorf("list offsets: %w", err)
	}
	ends, err := admin.ListEndOffsets(ctx, r.topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return fmt.Errorf("list offsets: %w", err)
	}
	left := map[int32]int64{} // ends not reached
	from := map[int32]kgo.Offset{}
	var total int64
	for partition, end := range ends[r.topic] {
		if start := starts[r.topic][partition].Offset; start > 0 {
			return fmt.Errorf("partition %d begins at offset %d: what was delivered before is gone, so no index can be made of it", partition, start)
		}
		if end.Offset > 0 {
			left[partition], from[partition] = end.Offset, kgo.NewOffset().At(0)
			total += end.Offset
		}
	}
	if len(left) == 0 {
		return nil
	}
	opts, err := config.Options(log)
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(append(opts,
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{r.topic: from}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.KeepControlRecords(),
	)...)
	if err != nil {
		return fmt.Errorf("make a Kafka client: %w", err)
	}
	defer client.Close()
	var done int64
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := errors.Join(ctx.Err(), fetches.Err()); err != nil {
			return err
		}
		for _, record := range fetches.Records() {
			if err := r.take(record); err != nil {
				return fmt.Errorf("partition %d, offset %d: %w", record.Partition, record.Offset, err)
			}
			done++
			if record.Offset+1 >= left[record.Partition] {
				delete(left, record.Partition)
			}
		}
		if r.progress != nil {
			r.progress(min(done, total), total)
		}
	}
	return nil
}

// take notes one record of a kept load.
func (r *rebuild) take(record *kgo.Record) error {
	at := slices.IndexFunc(record.Headers, func(h kgo.RecordHeader) bool { return h.Key == delivery.HeaderKey })
	if at < 0 || record.Attrs.IsControl() {
		return nil
	}
	if value := record.Headers[at].Value; string(value) != string(r.lastMark) || r.lastMark == nil {
		r.mark, r.lastMark = delivery.Mark{}, slices.Clone(value)
		if err := json.Unmarshal(value, &r.mark); err != nil {
			return fmt.Errorf("header %s: %w", delivery.HeaderKey, err)
		}
	}
	s := r.sources[r.mark.Source]
	if s == nil {
		index, err := delivery.OpenAnew(r.dir, r.topic, r.topicID, r.mark.Source)
		if err != nil {
			return err
		}
		s = &rebuiltSource{index: index, rebuild: index.Rebuild()}
		r.sources[r.mark.Source] = s
	}
	s.records++
	entry, err := place(r.decoder, &r.event, record.Timestamp, record.Value)
	if err != nil {
		return nil // it holds nothing that can be named
	}
	return s.rebuild.Add(r.mark, entry)
}
