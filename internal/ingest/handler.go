package ingest

import (
	"context"
	"errors"
	"os"

	"daybook/internal/billing"
	"daybook/internal/control"
	"daybook/internal/state"
	"daybook/internal/statedir"
)

// handler answers requests on the control socket.
type handler struct{ g *Ingester }

// handler implements control.Handler.
var _ control.Handler = handler{}

// Checkpoint makes a checkpoint of the state.
func (h handler) Checkpoint(context.Context) (control.CheckpointReply, error) {
	return h.g.copies.Make()
}

// DropCheckpoint removes a checkpoint.
func (h handler) DropCheckpoint(_ context.Context, id string) error { return h.g.copies.Drop(id) }

// SetCovered records the covered sequence of a tenant's newest release.
func (h handler) SetCovered(_ context.Context, tenant billing.TenantID, seq state.Sequence) error {
	return h.g.store.SetCovered(tenant, seq)
}

// Decide records a decision. A gap can be accepted only at a start, when nothing is read.
func (h handler) Decide(_ context.Context, d state.Decision) (uint64, error) {
	if d.Kind != state.QuarantineSettled && d.Kind != state.EmptyDayAllowed {
		return 0, errors.New("a running ingest takes decisions on quarantine and empty days alone")
	}
	return h.g.store.Decide(d)
}

// Live returns the live status.
func (h handler) Live(context.Context) (control.Live, error) { return h.g.live(), nil }

// Status returns the whole report.
func (h handler) Status(context.Context) (control.Status, error) {
	r, err := h.g.store.Reader()
	if err != nil {
		return control.Status{}, err
	}
	defer r.Close()
	live := h.g.live()
	return statedir.StatusOf(r, &live, h.g.deps.Now())
}

// live returns the live status with the storage's health.
func (g *Ingester) live() control.Live {
	l := g.tracker.live()
	l.PID = os.Getpid()
	if err := g.Ready(); err != nil {
		l.Ready, l.NotReady = false, err.Error()
	}
	return l
}
