package disk

import (
	"golang.org/x/sys/unix"
)

// renameNoReplace is not used on Darwin: RenameNew looks first.
func renameNoReplace(_, _ string) error { return unix.ENOSYS }

func exchange(a, b string) error { return unix.RenamexNp(a, b, unix.RENAME_SWAP) }
