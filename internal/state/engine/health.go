package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// slowFor is how long an operation that was slow makes the disk unhealthy.
	slowFor = 10 * time.Second
	// stalledAfter is how long writes must be stalled to be unhealthy: short stalls are how Pebble slows writers
	// down.
	stalledAfter = time.Second
	// logEvery is how often background errors are logged: on a full disk there are thousands in a second.
	logEvery = 10 * time.Second
)

// health is what Pebble's events say about the disk. It is needed because Pebble retries silently: on a full disk
// writes stall, and no call returns an error.
type health struct {
	log *slog.Logger
	now func() time.Time

	mu struct {
		sync.Mutex
		background error  // the last error of a flush or compaction; nil after a flush that succeeded
		failed     uint64 // such errors so far
		logged     time.Time
		stalled    string // why writes are stalled; empty: they are not
		stalledAt  time.Time
		slow       string // the last operation that was slow
		slowAt     time.Time
	}
}

// listener feeds h. A successful flush proves that the disk takes writes again. Damage that Pebble meets, in a
// compaction too, ends the process through fatal.
func (h *health) listener(fatal func(error)) *pebble.EventListener {
	return &pebble.EventListener{
		DataCorruption: func(i pebble.DataCorruptionInfo) { Stop(fatal, Damaged(i.Details)) },
		BackgroundError: func(err error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			if errors.Is(err, pebble.ErrCancelledCompaction) {
				return
			}
			h.mu.background = err
			h.mu.failed++
			if now := h.now(); now.Sub(h.mu.logged) >= logEvery {
				h.mu.logged = now
				h.log.Warn("failed to write to storage, will retry", "err", err)
			}
		},
		FlushEnd: func(i pebble.FlushInfo) {
			if i.Err != nil {
				return
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			h.mu.background = nil
		},
		WriteStallBegin: func(i pebble.WriteStallBeginInfo) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.mu.stalled, h.mu.stalledAt = i.Reason, h.now()
		},
		WriteStallEnd: func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.mu.stalled = ""
		},
		DiskSlow: func(i pebble.DiskSlowInfo) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.mu.slow, h.mu.slowAt = i.String(), h.now()
		},
	}
}

// writeError is the error that flushes and compactions meet; nil while they succeed.
func (h *health) writeError() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.writeErrorLocked()
}

func (h *health) writeErrorLocked() error {
	if h.mu.background == nil {
		return nil
	}
	return fmt.Errorf("storage does not take writes: %w", h.mu.background)
}

// err is nil while the storage takes writes, and takes them in time.
func (h *health) err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	switch {
	case h.mu.background != nil:
		return h.writeErrorLocked()
	case h.mu.stalled != "" && now.Sub(h.mu.stalledAt) > stalledAfter:
		return fmt.Errorf("writes are stalled since %s: %s", h.mu.stalledAt.UTC().Format(time.RFC3339), h.mu.stalled)
	case h.mu.slow != "" && now.Sub(h.mu.slowAt) < slowFor:
		return fmt.Errorf("disk is slow: %s", h.mu.slow)
	}
	return nil
}

// failures is the number of errors of flushes and compactions so far.
func (h *health) failures() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mu.failed
}

// logger is Pebble's logger. Its Fatalf never returns: if it did, Pebble would continue, and writes that were
// acknowledged would be lost.
type logger struct {
	log   *slog.Logger
	fatal func(error)
}

// Infof implements pebble.Logger.
func (l logger) Infof(format string, args ...any) {
	l.log.Debug("storage engine event", "detail", fmt.Sprintf(format, args...))
}

// Errorf implements pebble.Logger.
func (l logger) Errorf(format string, args ...any) {
	l.log.Warn("storage engine error", "detail", fmt.Sprintf(format, args...))
}

// Fatalf implements pebble.Logger.
func (l logger) Fatalf(format string, args ...any) {
	Stop(l.fatal, fmt.Errorf("storage failed: "+format, args...))
}
