package publish

import "errors"

// Errors of this package. Those of lake (ErrLocked, ErrDamaged …) and of state
// (ErrLocked …) pass through.
var (
	// ErrIncomplete: input that was in the topic at a cutoff is not read yet.
	ErrIncomplete = errors.New("input is not complete")
	// ErrGate: a gate blocks the release that would be published.
	ErrGate = errors.New("blocked by check")
	// ErrDifference: a comparison or verification found differing numbers.
	ErrDifference = errors.New("numbers differ")
	// ErrHold: the tenant is on hold after a rollback.
	ErrHold = errors.New("tenant is on hold")
	// ErrAsOf: the as-of lies before that of the newest release.
	ErrAsOf = errors.New("as-of is before the newest release's")
	// ErrBehind: the state has read less than a release already covers.
	ErrBehind = errors.New("state is behind the lake")
	// ErrOtherState: the lake was published from another cluster or topic.
	ErrOtherState = errors.New("lake belongs to another state")
	// ErrUsage: an argument that cannot be meant.
	ErrUsage = errors.New("bad argument")
)
