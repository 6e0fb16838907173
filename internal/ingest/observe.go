package ingest

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"daybook/internal/state"
)

// mirrorTimeout bounds one commit of offsets to Kafka.
const mirrorTimeout = 5 * time.Second

// observe lists the end offsets of all partitions periodically, passes the listings to the writer, and commits the
// durable positions to Kafka for lag tools.
func (s *stream) observe(ctx context.Context) error {
	mirrored, err := s.relist(ctx)
	close(s.listings)
	if err == nil {
		<-s.written // the current batch is durable too
		s.mirror(context.WithoutCancel(ctx), mirrored)
	}
	return err
}

// relist does so until ctx or the writer ends, and returns the committed offsets.
func (s *stream) relist(ctx context.Context) (mirrored map[state.PartitionID]int64, err error) {
	tick := time.NewTicker(s.cfg.WatermarkInterval)
	defer tick.Stop()
	still := newStall(s.tracker.topics)
	for {
		select {
		case <-ctx.Done():
			return mirrored, nil
		case <-tick.C:
		case <-s.wake:
			// Errors of a fetch request a listing, and may be frequent.
			if !sleep(ctx, minBackoff) {
				continue
			}
		}
		l, err := s.list(ctx, s.admin)
		if err == nil {
			err = sameInput(s.identity, l)
		}
		if _, stop := errors.AsType[*Stop](err); stop {
			return mirrored, err
		}
		if err != nil {
			if ctx.Err() == nil {
				s.trouble(err)
			}
			continue
		}
		if err := still.see(l, s.tracker.nexts()); err != nil {
			s.trouble(err)
		} else if s.fetchTrouble.Load() < l.At.Wall.UnixNano() {
			s.reading()
		}
		select {
		case s.listings <- l:
		case <-s.written:
			return mirrored, nil
		}
		mirrored = s.mirror(ctx, mirrored)
	}
}

// mirror commits the durable positions under the group, which Daybook never reads, and returns the committed
// offsets. Its errors concern only lag tools.
func (s *stream) mirror(ctx context.Context, before map[state.PartitionID]int64) map[state.PartitionID]int64 {
	if s.cfg.Group == "" {
		return before
	}
	offsets := kadm.Offsets{}
	now := s.tracker.nexts()
	for id, next := range now {
		if before == nil || before[id] != next {
			_, epoch := s.tracker.place(id)
			offsets.AddOffset(s.tracker.topics[id.Topic].Name, id.Partition, next, epoch)
		}
	}
	if len(offsets) == 0 {
		return before
	}
	ctx, cancel := context.WithTimeout(ctx, mirrorTimeout)
	defer cancel()
	committed, err := kadm.NewClient(s.admin).CommitOffsets(ctx, s.cfg.Group, offsets)
	if err == nil {
		err = committed.Error()
	}
	if err != nil {
		if ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			s.throttled.warn("failed to commit offsets for lag tools; nothing is lost", "group", s.cfg.Group, "err", err)
		}
		return before
	}
	return now
}
