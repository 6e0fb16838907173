package ingest

import (
	"daybook/internal/clock"
	"daybook/internal/state"
)

// promise is a partition's end as listed at a moment: once everything before it
// is durable, the partition was caught up at At.
type promise struct {
	At  clock.Reading
	End int64
}

// evidence turns listings into caught-up-at. For each partition it keeps the
// oldest promise that is not kept yet, so that a steady lag cannot put it off for
// ever, and the newest, so that it is recent once the partition is caught up.
type evidence struct {
	pending map[state.PartitionID][]promise // one or two, ascending by At
}

// newEvidence makes one without promises.
func newEvidence() *evidence {
	return &evidence{pending: map[state.PartitionID][]promise{}}
}

// add takes a listing's ends.
func (e *evidence) add(l *listing) {
	for id, b := range l.Partitions {
		ps := e.pending[id]
		if len(ps) == 2 {
			ps = ps[:1]
		}
		e.pending[id] = append(ps, promise{At: l.At, End: b.End})
	}
}

// kept returns what is proven for a partition by everything before next being
// durable, and forgets it.
func (e *evidence) kept(id state.PartitionID, next int64) (state.CaughtUp, bool) {
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
