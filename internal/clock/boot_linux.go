package clock

import (
	"crypto/sha256"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// boot identifies this start by the kernel's boot_id and by the process's time namespace, in which the uptime may
// have an offset of its own. It is unknown where the kernel does not tell, e.g. without /proc.
var boot = sync.OnceValue(func() (id BootID) {
	kernel, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil || len(kernel) == 0 {
		return id
	}
	namespace, err := os.Readlink("/proc/self/ns/time")
	if err != nil {
		namespace = "" // a kernel before 5.6 has none
	}
	sum := sha256.Sum256(append(kernel, namespace...))
	copy(id[:], sum[:])
	return id
})

// uptime is CLOCK_BOOTTIME: the time since the start, time asleep included. No process can set it.
func uptime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
