package audit

import "errors"

// Errors of this package. Those of lake (ErrNoRelease, ErrDamaged …) pass through.
var (
	// ErrDifference: the release differs from the log.
	ErrDifference = errors.New("numbers differ")
	// ErrIncomplete: the log no longer has, or does not yet have, the input of the release.
	ErrIncomplete = errors.New("the log is not complete")
	// ErrOtherLog: the cluster or a topic is not that of the release.
	ErrOtherLog = errors.New("another log")
	// ErrNoBasis: the manifest does not name its input.
	ErrNoBasis = errors.New("the manifest names no rules")
)
