// Package state stores what was consumed: the winner of every event, which account-days changed, how far each Kafka
// partition was read, what was rejected, what an operator decided, and a journal that proves that nothing of it is
// missing. It owns transactions, bulk loads, readers and checks. Keys and values are package format's, the database
// is package engine's; the order of versions is billing's and their resolution dedup's.
//
// One Store writes a state. Each writing method is one atomic write, durable on return. A Reader reads a checkpoint, a
// stopped state or a snapshot of a live one. Both are safe for concurrent use.
package state

import (
	"errors"

	"daybook/internal/state/engine"
)

// Errors of this package. After all but ErrLocked and ErrNoRecord, trying again does not help. ErrDamaged and
// ErrFormat are among types.go.
var (
	ErrNotFound = engine.ErrNotFound                 // Open of an empty or missing directory
	ErrExists   = errors.New("state exists already") // Create where a state is
	ErrLocked   = engine.ErrLocked                   // another process has it open
	ErrPosition = errors.New("position mismatch")    // a batch that does not start at NextOffset
	ErrRules    = errors.New("rules are not looser") // Retry with rules under which an accepted record might not be
	ErrNoRecord = errors.New("no such record")       // a decision on a record that is not in quarantine
)
