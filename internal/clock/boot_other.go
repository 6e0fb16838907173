//go:build !linux

package clock

import "time"

// boot is unknown on this platform.
func boot() BootID { return BootID{} }

// uptime is unknown on this platform.
func uptime() time.Duration { return 0 }
