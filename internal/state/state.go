// Package state keeps what was consumed: the winner of every event, which
// account-days changed, how far each Kafka partition was read, what was
// rejected, what an operator decided, and a journal that proves that nothing
// of it is missing. It is the only package that imports Pebble's database.
//
// One Store writes, through Apply, which is atomic and durable on return. A
// Reader reads a checkpoint, a stopped state or a snapshot of a live one.
package state

import (
	"errors"
	"time"

	"daybook/internal/billing"
)

// Errors of this package. All but ErrLocked mean: stop.
var (
	ErrNotFound = errors.New("no state here")        // Open of an empty or missing directory
	ErrExists   = errors.New("state exists already") // Create where a state is
	ErrLocked   = errors.New("state is locked")      // another process has it open
	ErrDamaged  = errors.New("state is damaged")     // a check failed; remedy: ingest rebuild
	ErrFormat   = errors.New("format version")       // written by another version of Daybook
	ErrPosition = errors.New("position mismatch")    // a batch that does not start at NextOffset
	ErrRules    = errors.New("rules are not looser") // Retry with rules under which an accepted record might not be
	ErrNoRecord = errors.New("no such record")       // a decision on a record that is not in quarantine
)

// DatabaseID names one state for good; a rebuilt state has another.
type DatabaseID string

// Digest is the digest of a journal entry, chained over all before it.
type Digest [16]byte

// Sequence numbers state changes: one per atomic write, contiguous from 1.
type Sequence uint64

// Topic is one topic of a state's identity.
type Topic struct {
	Name    string               `json:"name"`
	ID      string               `json:"id,omitempty"` // Kafka's topic id, hex; empty where the broker has none
	Ordinal billing.TopicOrdinal `json:"ordinal"`
}

// Identity is what a state is a state of.
type Identity struct {
	Format     int           `json:"format"`
	Database   DatabaseID    `json:"database_id"`
	Cluster    string        `json:"cluster_id"`
	Topics     []Topic       `json:"topics"`
	Partitions string        `json:"partitions"` // "all"; room for a state that owns some
	Rules      billing.Rules `json:"rules"`
	CreatedAt  time.Time     `json:"created_at"`
}

// FormatVersion is the version of all keys and values that this program reads
// and writes; docs/format-state.md draws them.
const FormatVersion = 3
