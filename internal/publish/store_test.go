package publish

import (
	"context"
	"path/filepath"

	"daybook/internal/billing"
	"daybook/internal/state"
	"daybook/internal/statedir"
)

// Store is the Source of a store that this process has open itself.
type Store struct {
	*state.Store
	// Dir is where copies are made; it may be missing.
	Dir     string
	Options state.Options
}

// Checkpoint is Source's.
func (s Store) Checkpoint(context.Context) (*Checkpoint, error) {
	return statedir.Copy(s.Store, filepath.Join(s.Dir, statedir.NewCheckpointID()), s.Options)
}

// SetCovered is Source's.
func (s Store) SetCovered(_ context.Context, t billing.TenantID, seq state.Sequence) error {
	return s.Store.SetCovered(t, seq)
}
