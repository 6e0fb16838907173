package lake

import (
	"errors"
	"syscall"
)

// linkRefused reports whether an error of Link means that this file system, or this file, takes no further hard link,
// so that a copy is needed.
func linkRefused(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EXDEV, syscall.EMLINK, syscall.EPERM, syscall.ENOTSUP, syscall.ENOSYS} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
