package format

import (
	"time"

	"daybook/internal/clock"
)

// Doubt says why the evidence that a partition was caught up does not count; empty: it counts, or there is none.
type Doubt string

// The doubts about a stored caught-up-at. None of them is removed by waiting: evidence counts again only once an
// ingest makes it again.
const (
	// DoubtFuture: it is later than the clock shows, so the clock that showed it was ahead.
	DoubtFuture Doubt = "caught-up-at is in the future"
	// DoubtSetBack: the clock was set back since. Records that came after the evidence may carry an earlier time.
	DoubtSetBack Doubt = "the clock was set back after it was caught up"
	// DoubtOtherBoot: it was made before the machine's last start, or on another machine; no clock of now can tell
	// whether that one was right.
	DoubtOtherBoot Doubt = "caught up before the machine's last start, or on another machine"
)

// CaughtUpBy is up to when everything in the partition is known to be read, judged by the clock of now; zero: not
// known, with the doubt about what is stored, if anything is.
//
// Evidence counts if every record that came after it came later than CaughtUpAt by the clock of now. That holds if
// the wall clock was not set back in between, which the uptimes of both moments show.
func (p *Position) CaughtUpBy(now clock.Reading) (time.Time, Doubt) {
	made := clock.Reading{Wall: p.CaughtUpAt, Boot: p.CaughtUpBoot, Uptime: p.CaughtUpUptime}
	switch {
	case p.CaughtUpAt.IsZero():
		return time.Time{}, ""
	case p.CaughtUpAt.After(now.Wall):
		return time.Time{}, DoubtFuture
	case !now.Comparable(made):
		return time.Time{}, DoubtOtherBoot
	case now.SetBack(made) > 0:
		return time.Time{}, DoubtSetBack
	}
	return p.CaughtUpAt, ""
}
