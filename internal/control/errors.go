package control

import "errors"

// Errors of this package.
var (
	// ErrNotRunning is returned when no ingest listens on the state directory.
	ErrNotRunning = errors.New("no ingest runs on this state")
	// ErrUnknownCheckpoint is returned by DropCheckpoint for an id that the running ingest does not
	// have (any more): it was dropped or reaped.
	ErrUnknownCheckpoint = errors.New("no such checkpoint")
	// ErrForbidden is returned when the socket belongs to another user.
	ErrForbidden = errors.New("the control socket belongs to another user")
)
