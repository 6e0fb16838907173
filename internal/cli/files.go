package cli

import "golang.org/x/sys/unix"

// Modes taken from files that a process makes, for RestrictFiles.
const (
	OwnerOnly = 0o077 // what is nobody else's to read: a state
	NoOthers  = 0o027 // what the owner's group may read: a lake
)

// RestrictFiles takes these bits from the mode of every file that the process
// makes from now on, whatever umask it was started with. Call it first in main.
func RestrictFiles(bits int) { unix.Umask(unix.Umask(0o777) | bits) }
