//go:build !linux

package lake

import "golang.org/x/sys/unix"

// renameNoReplace has no portable form: the caller looks first.
func renameNoReplace(_, _ string) error { return unix.ENOSYS }
