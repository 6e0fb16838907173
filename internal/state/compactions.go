package state

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// compactions lets compactions run, one at a time and none before the database is open. Pebble's own scheduler lets
// them begin while a database is being opened, and when that fails it goes on to begin some, in files that are closed by
// then: the process ended by a panic in place of the reason.
type compactions struct {
	db       pebble.DBForCompaction
	granting sync.Mutex // held while db is asked and told
	mu       struct {
		sync.Mutex
		open    bool // from start until Unregister
		running bool
		refused bool // since somebody was asked
	}
}

var (
	_ pebble.CompactionScheduler   = (*compactions)(nil)
	_ pebble.CompactionGrantHandle = (*compactions)(nil)
)

// start lets compactions begin. To be called once the database is open.
func (c *compactions) start() {
	c.mu.Lock()
	c.mu.open = true
	c.mu.Unlock()
	c.grant()
}

// take reports whether a compaction may begin; it is then taken to run.
func (c *compactions) take() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.mu.open || c.mu.running {
		c.mu.refused = true
		return false
	}
	c.mu.running, c.mu.refused = true, false
	return true
}

// giveBack ends what take began, and reports whether another was refused meanwhile.
func (c *compactions) giveBack() (refused bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.running = false
	return c.mu.refused
}

// grant lets a compaction begin that was refused before.
func (c *compactions) grant() {
	c.granting.Lock()
	defer c.granting.Unlock()
	for c.take() {
		if waits, _ := c.db.GetWaitingCompaction(); waits && c.db.Schedule(c) || !c.giveBack() {
			return
		}
	}
}

// Register is pebble.CompactionScheduler's, as are the next three.
func (c *compactions) Register(_ int, db pebble.DBForCompaction) { c.db = db }

// Unregister waits until nobody asks the database.
func (c *compactions) Unregister() {
	c.mu.Lock()
	c.mu.open = false
	c.mu.Unlock()
	c.granting.Lock()
	defer c.granting.Unlock()
}

// TrySchedule is what Pebble calls when it wants to compact.
func (c *compactions) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	if !c.take() {
		return false, nil
	}
	return true, c
}

// UpdateGetAllowedWithoutPermission says that there may be more at a time, which there are not.
func (c *compactions) UpdateGetAllowedWithoutPermission() {}

// Done is pebble.CompactionGrantHandle's: the compaction has ended.
func (c *compactions) Done() {
	c.giveBack()
	c.grant()
}

// Started is pebble.CompactionGrantHandle's.
func (c *compactions) Started() {}

// MeasureCPU is pebble.CompactionGrantHandle's.
func (c *compactions) MeasureCPU(pebble.CompactionGoroutineKind) {}

// CumulativeStats is pebble.CompactionGrantHandle's.
func (c *compactions) CumulativeStats(pebble.CompactionGrantHandleStats) {}
