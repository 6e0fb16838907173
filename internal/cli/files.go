package cli

import "golang.org/x/sys/unix"

// Masks for RestrictFiles.
const (
	OwnerOnly = 0o077 // only the owner may read: a state
	NoOthers  = 0o027 // the owner's group may read: a lake
)

// RestrictFiles clears these bits in the mode of every file that the process creates from now on, in addition to the
// umask. Call it first in main.
func RestrictFiles(bits int) { unix.Umask(unix.Umask(0o777) | bits) }
