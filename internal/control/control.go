// Package control is the HTTP-over-Unix-socket API of a running ingest.
//
// It owns the protocol, on the client's and the server's side, and the documents that it carries. It does not own what
// a request does: that is the server's Handler.
//
// The socket is STATE/ingest.sock with mode 0600, and connections of other users are refused. Callers never supply
// paths. Server and client are safe for concurrent use. Nothing here is durable by itself: durability is up to the
// Handler.
package control

import (
	"context"
	"time"

	"daybook/internal/billing"
	"daybook/internal/state"
)

// SocketName is the name of the socket in the state directory.
const SocketName = "ingest.sock"

// Handler has the operations of a running ingest. Its methods are called from many goroutines.
type Handler interface {
	// Checkpoint makes a durable copy of the state. The ingest keeps it until it is dropped, or removed because of
	// its age.
	Checkpoint(ctx context.Context) (CheckpointReply, error)
	// DropCheckpoint removes a checkpoint; ErrUnknownCheckpoint.
	DropCheckpoint(ctx context.Context, id string) error
	// SetCovered records the covered sequence of a tenant's newest release.
	SetCovered(ctx context.Context, tenant billing.TenantID, seq state.Sequence) error
	// Decide records a decision and returns its number.
	Decide(ctx context.Context, d state.Decision) (uint64, error)
	// Live returns the status that only a running ingest has.
	Live(ctx context.Context) (Live, error)
	// Status returns the report of `ingest status`.
	Status(ctx context.Context) (Status, error)
}

// CheckpointReply names a checkpoint that ingest made for the caller.
type CheckpointReply struct {
	ID       string         `json:"id"`
	Dir      string         `json:"dir"` // absolute
	Sequence state.Sequence `json:"sequence"`
}

// PartitionLag is the lag of one partition.
type PartitionLag struct {
	Topic      string    `json:"topic"`
	Partition  int32     `json:"partition"`
	NextOffset int64     `json:"next_offset"`
	EndOffset  int64     `json:"end_offset"` // -1: unknown
	CaughtUpAt time.Time `json:"caught_up_at"`
	Reason     string    `json:"reason,omitempty"` // why it is not caught up, e.g. open_transaction
}

// Live is the status that only a running ingest has. The rest is read from the state.
type Live struct {
	PID        int            `json:"pid"`
	Ready      bool           `json:"ready"`
	NotReady   string         `json:"not_ready,omitempty"`
	Warnings   []string       `json:"warnings,omitempty"` // about the topics' settings
	Partitions []PartitionLag `json:"partitions"`
}
