package state

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"daybook/internal/state/format"
)

// flushPatience is for how many tenths of a second in a row a checkpoint bears a failing disk.
const flushPatience = 50

// Checkpoint writes a durable copy of the state to dir, which must not exist,
// under the apply lock with the WAL flushed. The journal digest at its head is kept for good.
// The copy is a state directory itself: OpenReader reads it, and Open, moved to where a state should be.
func (s *Store) Checkpoint(dir string) (Head, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return Head{}, errClosed
	}
	started := s.o.Now()
	if _, err := s.o.FS.Stat(dir); err == nil {
		return Head{}, fmt.Errorf("checkpoint: %s exists already", dir)
	}
	head := s.mu.journal.Head
	c := &s.mu.changes
	c.Reset()
	c.Set(format.SequenceKey(format.SpaceKeptDigest, uint64(head.Sequence)), head.Digest[:])
	s.commit(c)
	// Flushed, because the copy of a live WAL can lack a write that precedes one it holds.
	if err := s.flush(); err != nil {
		return Head{}, fmt.Errorf("checkpoint: %w", err)
	}
	if err := mkdirAll(s.o.FS, dir); err != nil {
		return Head{}, fmt.Errorf("checkpoint: %w", err)
	}
	if err := s.db.Checkpoint(filepath.Join(dir, LiveDir), pebble.WithFlushedWAL()); err != nil {
		return Head{}, fmt.Errorf("checkpoint: %w", err)
	}
	if err := syncDir(s.o.FS, dir); err != nil {
		return Head{}, err
	}
	s.metrics.checkpoints.Observe(s.o.Now().Sub(started).Seconds())
	return head, nil
}

// flush writes the memtables out. Pebble would try for ever on a disk that takes no writes; a checkpoint gives up,
// so that its caller hears why.
func (s *Store) flush() error {
	flushed, err := s.db.AsyncFlush()
	if err != nil {
		return err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for failing := 0; ; {
		select {
		case <-flushed:
			return nil
		case <-tick.C:
		}
		if failing++; s.health.failing() == nil {
			failing = 0
		} else if failing >= flushPatience {
			return s.health.failing()
		}
	}
}
