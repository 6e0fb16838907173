package produce

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/billing"
	"daybook/internal/decode"
	"daybook/internal/delivery"
	"daybook/internal/kafka"
)

// RebuiltSource is the result of a rebuild for one source.
type RebuiltSource struct {
	Source  string `json:"source"`
	Records int64  `json:"records"`
	Held    int64  `json:"ids"`
}

// RebuildDeliveries reads a topic from its start to its current end and writes the index of every source again,
// from the marks on the records of its loads. It refuses a topic whose first records are gone.
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
	if err := r.read(ctx, p); err != nil {
		return nil, config.Explain("topic "+topic, err)
	}
	var all []RebuiltSource
	for _, name := range slices.Sorted(maps.Keys(r.sources)) {
		s := r.sources[name]
		held, err := s.rebuild.Finish(r.next)
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", name, err)
		}
		all = append(all, RebuiltSource{Source: name, Records: s.records, Held: held})
	}
	return all, nil
}

// rebuild is the state of one rebuild.
type rebuild struct {
	topic, topicID, dir string

	decoder  *decode.Decoder
	event    billing.Event
	sources  map[string]*rebuiltSource
	progress func(done, total int64)

	marks markDecoder
	next  map[int32]int64 // offsets up to which the topic is read
}

type rebuiltSource struct {
	index   *delivery.Index
	rebuild *delivery.Rebuild
	records int64
}

// read reads every record up to the current ends of the partitions.
func (r *rebuild) read(ctx context.Context, p *Pusher) error {
	offsets, err := p.Offsets(ctx)
	if err != nil {
		return err
	}
	r.next = map[int32]int64{}
	for partition, o := range offsets {
		if o.First > 0 {
			return fmt.Errorf("partition %d begins at offset %d: what was delivered before is gone, so no index can be made of it", partition, o.First)
		}
		r.next[partition] = o.Next
	}
	return p.read(ctx, offsets, r.take, r.progress)
}

// take notes one record of a recorded load.
func (r *rebuild) take(record *kgo.Record) error {
	mark, err := r.marks.of(record)
	if mark == nil || err != nil {
		return err
	}
	s := r.sources[mark.Source]
	if s == nil {
		index, err := delivery.OpenForRebuild(r.dir, r.topic, r.topicID, mark.Source)
		if err != nil {
			return err
		}
		s = &rebuiltSource{index: index, rebuild: index.Rebuild()}
		r.sources[mark.Source] = s
	}
	s.records++
	entry, err := place(r.decoder, &r.event, record.Timestamp, record.Value)
	if err != nil {
		return nil // it has no id
	}
	return s.rebuild.Add(*mark, entry)
}
