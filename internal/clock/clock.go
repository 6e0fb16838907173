// Package clock reads the wall clock together with the time since the machine started.
//
// The wall clock orders what happened in days; it can be set back. The uptime cannot, but it means something only
// until the next start. A moment that carries both can be checked later, by another process: Reading.SetBack says
// whether the wall clock was set back in between, that is, whether the moment still precedes everything that
// happened after it.
//
// The package owns no state and is safe for concurrent use.
package clock

import "time"

// BootID identifies one start of one machine, and the time namespace of the process in it. Uptimes of equal
// BootIDs can be compared. The zero value is unknown: this platform does not tell.
type BootID [16]byte

// Reading is one look at both clocks.
type Reading struct {
	Wall   time.Time
	Boot   BootID
	Uptime time.Duration // since Boot, time asleep included
}

// Jitter is the largest difference of two readings that does not count as a step of the wall clock, because the two
// clocks cannot be read at the same moment.
const Jitter = 100 * time.Millisecond

// At reads both clocks; wall is the wall clock.
func At(wall func() time.Time) Reading {
	const attempts = 10 // a process that is interrupted that often has other troubles
	var r Reading
	for range attempts {
		r = Reading{Boot: boot(), Uptime: uptime(), Wall: wall()}
		// An interruption between the two would look like a step of the wall clock, or hide one.
		if uptime()-r.Uptime < Jitter/2 {
			break
		}
	}
	return r
}

// Comparable reports whether r was taken on the same start of the same machine as earlier, and not before it.
// Where the platform does not tell, readings are comparable with others of which that holds too.
func (r Reading) Comparable(earlier Reading) bool {
	return r.Boot == earlier.Boot && (r.Boot == BootID{} || r.Uptime+Jitter >= earlier.Uptime)
}

// Since is how much time passed between earlier and r, whatever became of the wall clock; where that cannot be known,
// it is the difference that the wall clock shows.
func (r Reading) Since(earlier Reading) time.Duration {
	if r.Boot == (BootID{}) || r.Boot != earlier.Boot {
		return r.Wall.Sub(earlier.Wall)
	}
	return r.Uptime - earlier.Uptime
}

// SetBack is by how much the wall clock was set back between earlier and r, which must be comparable; 0 if it was
// not, if it was set forward, or where that cannot be known.
func (r Reading) SetBack(earlier Reading) time.Duration {
	if r.Boot == (BootID{}) {
		return 0
	}
	if back := (r.Uptime - earlier.Uptime) - r.Wall.Sub(earlier.Wall); back > Jitter {
		return back
	}
	return 0
}
