package engine

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/cockroachdb/pebble/v2"

	"daybook/internal/state/format"
)

// Errors of opening a database.
var (
	ErrNotFound = errors.New("no state here")   // the directory is missing or has no database
	ErrLocked   = errors.New("state is locked") // another process, or this one, has the database open
)

// Damaged wraps an error that says that a file is missing or is not what was written: it becomes format.ErrDamaged.
func Damaged(err error) error {
	return fmt.Errorf("%w: %w; remedy: ingest rebuild, or a backup in its place", format.ErrDamaged, err)
}

// ReadError wraps an error of reading the database: format.ErrDamaged if what was read is corrupt or a file is
// missing.
func ReadError(err error) error {
	if pebble.IsCorruptionError(err) || errors.Is(err, os.ErrNotExist) {
		return Damaged(err)
	}
	return fmt.Errorf("read state: %w", err)
}

// openError wraps an error of opening a database. It is damage, unless the operating system refuses a file that is
// there.
func openError(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok && errno != syscall.ENOENT {
		return fmt.Errorf("open state: %w", err)
	}
	return Damaged(err)
}

// Stop ends the process by calling fatal, which must not return. If it does, Stop panics: to continue would mean to
// acknowledge writes that are lost.
func Stop(fatal func(error), err error) {
	fatal(err)
	panic(fmt.Sprintf("Options.Fatal returned: %v", err))
}
