package publish

import (
	"errors"

	"daybook/internal/inspect"
)

// Errors of this package. Those of lake and state, such as ErrLocked and ErrDamaged, are passed on.
var (
	// ErrIncomplete: the state has not read all records that were in the topic at the cutoff.
	ErrIncomplete = errors.New("input is not complete")
	// ErrGate: a gate blocks the release that would be published.
	ErrGate = errors.New("blocked by check")
	// ErrDifference: a comparison or verification found differing numbers.
	ErrDifference = inspect.ErrDifference
	// ErrHold: the tenant is on hold after a rollback.
	ErrHold = errors.New("tenant is on hold")
	// ErrAsOf: the as-of is before that of the newest release.
	ErrAsOf = errors.New("as-of is before the newest release's")
	// ErrBehind: the state has read fewer records than the newest release was made from.
	ErrBehind = errors.New("state is behind the lake")
	// ErrOtherState: the lake was published from another cluster or topic.
	ErrOtherState = errors.New("lake belongs to another state")
	// ErrUsage: an invalid argument or combination of arguments.
	ErrUsage = inspect.ErrUsage
)
