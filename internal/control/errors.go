package control

import "errors"

// Errors of this package.
var (
	// ErrNotRunning is returned when no ingest listens on the state directory.
	ErrNotRunning = errors.New("no ingest runs on this state")
	// ErrUnknownCheckpoint is returned by DropCheckpoint for an id that the running ingest does not
	// have (any more): it was dropped or reaped.
	ErrUnknownCheckpoint = errors.New("no such checkpoint")
	// ErrSilent is returned when an ingest holds the socket and does not answer: it is stopped (SIGSTOP, a frozen
	// machine), or has no processor.
	ErrSilent = errors.New("the ingest that runs on this state does not answer")
	// ErrEnded is returned when an ingest ended before it answered: whether it did what it was asked is not known.
	ErrEnded = errors.New("ingest ended before it answered")
	// ErrForbidden is returned when the socket belongs to another user.
	ErrForbidden = errors.New("the control socket belongs to another user")
)
