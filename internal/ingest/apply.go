package ingest

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/state"
)

// apply writes batches and watermarks until both of its inputs are closed. It owns the durable positions. It does not
// watch a context: it writes every batch that gather passes on.
func (s *stream) apply(first *listing) error {
	defer close(s.written)
	e := newCaughtUpTracker()
	e.add(first)
	full, listings := s.full, s.listings
	// If there is nothing to read, the first listing shows at once that everything is read.
	err := s.write(nil, e)
	for err == nil && (full != nil || listings != nil) {
		select {
		case b, ok := <-full:
			if !ok {
				full = nil
				break
			}
			err = s.write(b, e)
			b.reset()
			s.free <- b
		case l, ok := <-listings:
			if !ok {
				listings = nil
				break
			}
			if err = s.grow(l); err == nil {
				e.add(l)
				s.tracker.listed(l)
				err = s.write(nil, e)
			}
		}
	}
	return err
}

// write makes one batch durable, with the watermarks that it reaches. b may be nil.
func (s *stream) write(b *batch, e *caughtUpTracker) error {
	w := &state.Batch{}
	if b != nil {
		for _, h := range b.holes {
			if !b.advances[b.index[h.partition]].HolesExplained {
				return h.damaged()
			}
		}
		w = b.write()
	}
	if s.bulk == nil {
		next := s.tracker.nexts()
		for _, a := range w.Advances {
			next[a.Partition] = a.Next
		}
		for id, n := range next {
			if c, ok := e.kept(id, n); ok {
				w.CaughtUp = append(w.CaughtUp, c)
			}
		}
	}
	if len(w.Advances) == 0 && len(w.CaughtUp) == 0 {
		return s.done()
	}
	applied, err := s.put(w)
	if err != nil {
		return err
	}
	s.metrics.applied(w, applied)
	for o, n := range applied.Outcomes {
		s.outcomes[o] += n
	}
	s.tracker.durable(w)
	if b != nil && b.count > 0 {
		s.progress()
	}
	return s.done()
}

// put writes w to the state, or advances the positions of a bulk load. Nothing of a bulk load is durable before its
// end.
func (s *stream) put(w *state.Batch) (state.Applied, error) {
	if s.bulk != nil {
		return state.Applied{}, s.bulk.Advance(w.Advances)
	}
	return s.store.Apply(w)
}

// done returns errDone once the run has read everything that it should read.
func (s *stream) done() error {
	switch {
	case s.until != nil && s.tracker.reached(s.until, nil):
		return errDone
	case s.until == nil && s.opts.UntilCaughtUp && s.tracker.caughtUp():
		return errDone
	}
	return nil
}

// grow adds partitions that a listing shows for the first time at offset 0, and makes the client read them.
func (s *stream) grow(l *listing) error {
	w := &state.Batch{}
	var fresh []state.PartitionID
	for id, b := range l.Partitions {
		if s.tracker.known(id) {
			continue
		}
		fresh = append(fresh, id)
		gp, err := checkPosition(s.tracker.topics[id.Topic], id, nil, b)
		if err != nil {
			return err
		}
		if gp != nil && !s.opts.AcceptGap {
			return gp.stop()
		}
		if gp != nil {
			if err := s.accept(gp); err != nil {
				return err
			}
		} else {
			w.Advances = append(w.Advances, state.Advance{Partition: id, LeaderEpoch: -1, LastOffset: -1})
		}
		s.deps.Log.Info("new partition", "topic", s.tracker.topics[id.Topic].Name, "partition", id.Partition)
	}
	if len(w.Advances) > 0 {
		if _, err := s.store.Apply(w); err != nil {
			return err
		}
		s.tracker.durable(w)
	}
	at := map[string]map[int32]kgo.Offset{}
	for _, id := range fresh {
		s.startAt(at, id)
	}
	s.client.AddConsumePartitions(at)
	return nil
}
