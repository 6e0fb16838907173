package inspect

import "errors"

// Errors of this package. Those of lake (ErrNoRelease, ErrDamaged …) pass through.
var (
	// ErrDifference: a release differs from what it is compared with.
	ErrDifference = errors.New("numbers differ")
	// ErrUsage: an argument or a file is invalid.
	ErrUsage = errors.New("bad argument")
)
