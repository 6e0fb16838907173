package state

import (
	"fmt"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"

	"daybook/internal/state/engine"
	"daybook/internal/state/format"
)

// Checkpoint writes a durable copy of the state to dir, which must not exist. Writes wait meanwhile. The journal
// digest at the checkpoint's head is kept for good. The copy is a state directory: OpenReader reads it, and Open
// opens it.
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
	rows := &s.mu.rows
	rows.Reset()
	rows.Set(format.SequenceKey(format.SpaceKeptDigest, uint64(head.Sequence)), head.Digest[:])
	s.writeBatch(rows)
	// The copy of a live WAL can lack a write that precedes one that it has.
	if err := s.db.FlushOrFail(); err != nil {
		return Head{}, fmt.Errorf("checkpoint: %w", err)
	}
	if err := engine.MkdirAll(s.o.FS, dir); err != nil {
		return Head{}, fmt.Errorf("checkpoint: %w", err)
	}
	if err := s.db.Checkpoint(filepath.Join(dir, LiveDir), pebble.WithFlushedWAL()); err != nil {
		return Head{}, fmt.Errorf("checkpoint: %w", err)
	}
	if err := engine.SyncDir(s.o.FS, dir); err != nil {
		return Head{}, err
	}
	s.metrics.checkpoints.Observe(s.o.Now().Sub(started).Seconds())
	return head, nil
}
