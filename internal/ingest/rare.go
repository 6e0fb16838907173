package ingest

import (
	"log/slog"
	"sync"
	"time"
)

// rareEvery is how often the same trouble is logged.
const rareEvery = 30 * time.Second

// rareLog logs the same message only now and then. Safe for concurrent use.
type rareLog struct {
	log *slog.Logger
	now func() time.Time

	mu struct {
		sync.Mutex
		last map[string]time.Time
	}
}

// newRareLog makes one.
func newRareLog(log *slog.Logger, now func() time.Time) *rareLog {
	r := &rareLog{log: log, now: now}
	r.mu.last = map[string]time.Time{}
	return r
}

// warn logs msg unless it was logged a short while ago.
func (r *rareLog) warn(msg string, args ...any) {
	now := r.now()
	r.mu.Lock()
	last, seen := r.mu.last[msg]
	say := !seen || now.Sub(last) >= rareEvery || now.Before(last)
	if say {
		r.mu.last[msg] = now
	}
	r.mu.Unlock()
	if say {
		r.log.Warn(msg, args...) //nolint:sloglint // the callers' messages are constants
	}
}
