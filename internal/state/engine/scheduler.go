package engine

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// scheduler lets compactions run one at a time, and none before the database is open.
//
// Pebble's own scheduler starts compactions while a database is being opened. If opening then fails, it starts
// more, in files that are closed by then, and the process ends with a panic instead of the reason.
type scheduler struct {
	db       pebble.DBForCompaction
	granting sync.Mutex // held while db is asked for a compaction and given one
	mu       struct {
		sync.Mutex
		open    bool // from start until Unregister
		running bool
		refused bool // a compaction was refused since the last one was granted
	}
}

var (
	_ pebble.CompactionScheduler   = (*scheduler)(nil)
	_ pebble.CompactionGrantHandle = (*scheduler)(nil)
)

// start lets compactions run. Call it once the database is open.
func (s *scheduler) start() {
	s.mu.Lock()
	s.mu.open = true
	s.mu.Unlock()
	s.grant()
}

// acquire reports whether a compaction may start. If so, it counts as running.
func (s *scheduler) acquire() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.mu.open || s.mu.running {
		s.mu.refused = true
		return false
	}
	s.mu.running, s.mu.refused = true, false
	return true
}

// release ends what acquire began. It reports whether another compaction was refused meanwhile.
func (s *scheduler) release() (refused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.running = false
	return s.mu.refused
}

// grant starts a compaction that waits, if there is one.
func (s *scheduler) grant() {
	s.granting.Lock()
	defer s.granting.Unlock()
	for s.acquire() {
		if waits, _ := s.db.GetWaitingCompaction(); waits && s.db.Schedule(s) || !s.release() {
			return
		}
	}
}

// Register implements pebble.CompactionScheduler.
func (s *scheduler) Register(_ int, db pebble.DBForCompaction) { s.db = db }

// Unregister implements pebble.CompactionScheduler. When it returns, the database is not asked for compactions any
// more.
func (s *scheduler) Unregister() {
	s.mu.Lock()
	s.mu.open = false
	s.mu.Unlock()
	s.granting.Lock()
	defer s.granting.Unlock()
}

// TrySchedule implements pebble.CompactionScheduler: Pebble calls it when it wants to compact.
func (s *scheduler) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	if !s.acquire() {
		return false, nil
	}
	return true, s
}

// UpdateGetAllowedWithoutPermission implements pebble.CompactionScheduler. The number allowed never changes.
func (s *scheduler) UpdateGetAllowedWithoutPermission() {}

// Done implements pebble.CompactionGrantHandle: the compaction has ended.
func (s *scheduler) Done() {
	s.release()
	s.grant()
}

// Started implements pebble.CompactionGrantHandle.
func (s *scheduler) Started() {}

// MeasureCPU implements pebble.CompactionGrantHandle.
func (s *scheduler) MeasureCPU(pebble.CompactionGoroutineKind) {}

// CumulativeStats implements pebble.CompactionGrantHandle.
func (s *scheduler) CumulativeStats(pebble.CompactionGrantHandleStats) {}
