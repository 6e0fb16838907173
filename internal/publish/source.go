package publish

import (
	"context"

	"daybook/internal/billing"
	"daybook/internal/state"
	"daybook/internal/statedir"
)

// Checkpoint is an open checkpoint of a state. Close it.
type Checkpoint = statedir.Checkpoint

// Source gives consistent, durable copies of a state. statedir.Dir is one.
type Source interface {
	// Checkpoint makes a copy and opens it.
	Checkpoint(ctx context.Context) (*Checkpoint, error)
	// SetCovered records up to which sequence a tenant's newest release covers the state, for status and metrics.
	SetCovered(ctx context.Context, t billing.TenantID, seq state.Sequence) error
}
