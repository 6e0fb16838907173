package ingest

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"daybook/internal/state"
)

// mirrorTimeout bounds one commit of the mirrored positions.
const mirrorTimeout = 5 * time.Second

// observe lists the ends of all partitions again and again, hands the listings to
// the writer and mirrors the durable positions for lag tools.
func (s *stream) observe(ctx context.Context) error {
	mirrored, err := s.relist(ctx)
	close(s.listings)
	if err == nil {
		<-s.written // the current batch is durable too
		s.mirror(context.WithoutCancel(ctx), mirrored)
	}
	return err
}

// relist does so until ctx or the writer ends, and returns what is mirrored.
func (s *stream) relist(ctx context.Context) (mirrored map[state.PartitionID]int64, err error) {
	tick := time.NewTicker(s.cfg.WatermarkInterval)
	defer tick.Stop()
	still := newStall(s.board.topics)
	for {
		select {
		case <-ctx.Done():
			return mirrored, nil
		case <-tick.C:
		case <-s.wake:
			// Errors of a fetch ask for a listing; they may come fast.
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
		if err := still.see(l, s.board.nexts()); err != nil {
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

// mirror commits the durable positions under the group, which nothing of Daybook
// reads, and returns what is mirrored now. Its errors matter to lag tools alone.
func (s *stream) mirror(ctx context.Context, before map[state.PartitionID]int64) map[state.PartitionID]int64 {
	if s.cfg.Group == "" {
		return before
	}
	offsets := kadm.Offsets{}
	now := s.board.nexts()
	for id, next := range now {
		if before == nil || before[id] != next {
			_, epoch := s.board.place(id)
			offsets.AddOffset(s.board.topics[id.Topic].Name, id.Partition, next, epoch)
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
