package state

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// slowFor is how long a slow disk operation is reported after it was seen.
const slowFor = 10 * time.Second

// health is what Pebble's events say about the disk. It exists because Pebble
// retries in silence: on a full disk writes stall and no call returns an error.
type health struct {
	log *slog.Logger
	now func() time.Time

	mu struct {
		sync.Mutex
		background error
		failed     uint64 // background errors so far
		logged     time.Time
		stalled    string
		stalledAt  time.Time
		slow       string
		slowAt     time.Time
	}
}

// listener feeds h. A successful flush proves that the disk takes writes again. Damage
// that Pebble meets, in a compaction too, ends the process by way of fatal.
func (h *health) listener(fatal func(error)) *pebble.EventListener {
	return &pebble.EventListener{
		DataCorruption: func(i pebble.DataCorruptionInfo) { stop(fatal, damaged(i.Details)) },
		BackgroundError: func(err error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			if errors.Is(err, pebble.ErrCancelledCompaction) {
				return
			}
			h.mu.background = err
			h.mu.failed++
			// Thousands come in a second; one line in ten seconds is enough.
			if now := h.now(); now.Sub(h.mu.logged) >= 10*time.Second {
				h.mu.logged = now
				h.log.Warn("storage does not take writes, will retry", "err", err)
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

// failing is why the storage does not take writes; nil while it does.
func (h *health) failing() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.background == nil {
		return nil
	}
	return fmt.Errorf("storage does not take writes: %w", h.mu.background)
}

// err is nil while the storage takes writes.
func (h *health) err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	switch {
	case h.mu.background != nil:
		return fmt.Errorf("storage does not take writes: %w", h.mu.background)
	case h.mu.stalled != "" && now.Sub(h.mu.stalledAt) > time.Second:
		return fmt.Errorf("writes are stalled since %s: %s", h.mu.stalledAt.UTC().Format(time.RFC3339), h.mu.stalled)
	case h.mu.slow != "" && now.Sub(h.mu.slowAt) < slowFor:
		return fmt.Errorf("disk is slow: %s", h.mu.slow)
	}
	return nil
}

// failures counts the errors of flushes and compactions.
func (h *health) failures() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mu.failed
}

// Health is nil while the storage takes writes; else what is wrong (a full disk, a write stall).
func (s *Store) Health() error { return s.health.err() }

// logger passes Pebble's messages on. Its Fatalf never returns: if it did,
// Pebble would go on and writes that were acknowledged would be lost.
type logger struct {
	log   *slog.Logger
	fatal func(error)
}

func (l logger) Infof(format string, args ...any) {
	l.log.Debug("storage engine event", "detail", fmt.Sprintf(format, args...))
}

func (l logger) Errorf(format string, args ...any) {
	l.log.Warn("storage engine error", "detail", fmt.Sprintf(format, args...))
}

func (l logger) Fatalf(format string, args ...any) {
	stop(l.fatal, fmt.Errorf("storage failed: "+format, args...))
}

// stop ends the process by way of fatal.
func stop(fatal func(error), err error) {
	fatal(err)
	panic(fmt.Sprintf("Options.Fatal returned: %v", err))
}
