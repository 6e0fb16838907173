//go:build !linux

package lake

import "golang.org/x/sys/unix"

// renameNoReplace is not portable: the caller checks and renames.
func renameNoReplace(_, _ string) error { return unix.ENOSYS }
