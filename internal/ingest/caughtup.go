package ingest

import (
	"daybook/internal/clock"
	"daybook/internal/state"
)

// watermark is the end offset of a partition that was listed at At. Once everything before it is durable, the
// partition was caught up at At.
type watermark struct {
	At  clock.Reading
	End int64
}

// caughtUpTracker computes caught-up-at from listings. For each partition it keeps the oldest watermark that is not
// reached, so that a steady lag cannot delay it without end, and the newest, so that it is recent once the
// partition is caught up.
type caughtUpTracker struct {
	pending map[state.PartitionID][]watermark // one or two, ascending by At
}

// newCaughtUpTracker returns a tracker without watermarks.
func newCaughtUpTracker() *caughtUpTracker {
	return &caughtUpTracker{pending: map[state.PartitionID][]watermark{}}
}

// add adds the end offsets of a listing.
func (e *caughtUpTracker) add(l *listing) {
	for id, b := range l.Partitions {
		ps := e.pending[id]
		if len(ps) == 2 {
			ps = ps[:1]
		}
		e.pending[id] = append(ps, watermark{At: l.At, End: b.End})
	}
}

// kept returns and removes the newest watermark of a partition that is reached if everything before next is durable.
func (e *caughtUpTracker) kept(id state.PartitionID, next int64) (state.CaughtUp, bool) {
	var c state.CaughtUp
	ok := false
	ps := e.pending[id]
	for len(ps) > 0 && next >= ps[0].End {
		c, ok = state.NewCaughtUp(id, ps[0].At), true
		ps = ps[1:]
	}
	if ok {
		e.pending[id] = ps
	}
	return c, ok
}
