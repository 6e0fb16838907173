// Package control is the word that publisher and operators have with a running
// ingest: HTTP over a Unix socket in the state directory. It owns the protocol,
// client and server side; what the words do is the server's Handler.
package control

import (
	"context"
	"errors"
	"time"

	"daybook/internal/billing"
	"daybook/internal/state"
)

// ErrNotRunning is returned by Dial when no ingest listens on the state directory.
var ErrNotRunning = errors.New("no ingest runs on this state")

// CheckpointReply names a checkpoint that ingest made for the caller.
type CheckpointReply struct {
	ID       string         `json:"id"`
	Dir      string         `json:"dir"`
	Sequence state.Sequence `json:"sequence"`
}

// PartitionLag is how far one partition is behind.
type PartitionLag struct {
	Topic      string    `json:"topic"`
	Partition  int32     `json:"partition"`
	NextOffset int64     `json:"next_offset"`
	EndOffset  int64     `json:"end_offset"` // -1: unknown
	CaughtUpAt time.Time `json:"caught_up_at"`
	Reason     string    `json:"reason,omitempty"` // why it is not caught up, e.g. open_transaction
}

// Live is what only a running ingest knows; the rest of status is read from a Reader.
type Live struct {
	PID        int            `json:"pid"`
	Ready      bool           `json:"ready"`
	NotReady   string         `json:"not_ready,omitempty"`
	Partitions []PartitionLag `json:"partitions"`
}

// Handler is what a running ingest does for its callers.
type Handler interface {
	Checkpoint(ctx context.Context) (CheckpointReply, error)
	DropCheckpoint(ctx context.Context, id string) error
	Covered(ctx context.Context, tenant billing.TenantID, seq state.Sequence) error
	Decide(ctx context.Context, d state.Decision) (uint64, error)
	Live(ctx context.Context) (Live, error)
}

// Listen serves h on dir's socket (mode 0600) until ctx ends, then removes the socket.
func Listen(ctx context.Context, dir string, h Handler) error { panic("not built yet") }

// Client talks to a running ingest. It has the methods of Handler.
type Client struct{}

// Dial connects to the ingest that runs on the state directory; ErrNotRunning.
func Dial(ctx context.Context, dir string) (*Client, error) { panic("not built yet") }
