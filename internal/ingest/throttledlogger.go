package ingest

import (
	"log/slog"
	"sync"
	"time"
)

// throttleInterval is the shortest time between two log lines with the same message.
const throttleInterval = 30 * time.Second

// throttledLogger logs each message at most once in throttleInterval. Safe for concurrent use.
type throttledLogger struct {
	log *slog.Logger
	now func() time.Time

	mu struct {
		sync.Mutex
		last map[string]time.Time // by message
	}
}

func newThrottledLogger(log *slog.Logger, now func() time.Time) *throttledLogger {
	l := &throttledLogger{log: log, now: now}
	l.mu.last = map[string]time.Time{}
	return l
}

// warn logs msg unless it was logged less than throttleInterval ago. A clock that was set back does not silence it.
func (l *throttledLogger) warn(msg string, args ...any) {
	now := l.now()
	l.mu.Lock()
	last, seen := l.mu.last[msg]
	due := !seen || now.Sub(last) >= throttleInterval || now.Before(last)
	if due {
		l.mu.last[msg] = now
	}
	l.mu.Unlock()
	if due {
		l.log.Warn(msg, args...) //nolint:sloglint // the callers' messages are constants
	}
}
