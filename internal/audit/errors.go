package audit

import "errors"

// Errors of this package. Those of lake (ErrNoRelease, ErrDamaged …) pass through.
var (
	// ErrDifference: the release does not say what the log comes to.
	ErrDifference = errors.New("numbers differ")
	// ErrIncomplete: the log does not hold any more, or not yet, what the release was made from.
	ErrIncomplete = errors.New("the log is not complete")
	// ErrOtherLog: the cluster or a topic is not the one that the release was made from.
	ErrOtherLog = errors.New("another log")
	// ErrNoBasis: the manifest does not name what its numbers rest on.
	ErrNoBasis = errors.New("the manifest names no rules")
)
