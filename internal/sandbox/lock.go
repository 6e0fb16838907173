package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"daybook/internal/disk"
)

// lockName is the file in a data directory that its broker holds locked, and in which it writes
// its process id. The kernel releases the lock when the process ends, however it ends.
const lockName = "broker.lock"

// ErrLocked is returned when another process has the data directory.
var ErrLocked = errors.New("another broker has the data directory")

// lockDir locks dir for this process until the Closer is closed.
func lockDir(dir string) (io.Closer, error) {
	name := filepath.Join(dir, lockName)
	lock, err := disk.OS().Lock(name)
	if errors.Is(err, disk.ErrLocked) {
		owner, _ := os.ReadFile(name) // the message is less helpful without it
		return nil, fmt.Errorf("%w %s (process %s); stop it, or choose another with --data", ErrLocked, dir, strings.TrimSpace(string(owner)))
	}
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	_ = os.WriteFile(name, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600) // for the message above alone
	return lock, nil
}
