package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// lockName is the file in a data directory that its broker holds locked. The
// kernel lets go of it when the process ends, however it ends.
const lockName = "broker.lock"

// ErrLocked is returned when another process has the data directory.
var ErrLocked = errors.New("another broker has the data directory")

// lockDir takes dir for this process; closing the file gives it back.
func lockDir(dir string) (*os.File, error) {
	name := filepath.Join(dir, lockName)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		owner, _ := os.ReadFile(name) // only to say more
		_ = f.Close()
		return nil, fmt.Errorf("%w %s (process %s); stop it, or choose another with --data", ErrLocked, dir, strings.TrimSpace(string(owner)))
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0) // only to say more
	}
	return f, nil
}
