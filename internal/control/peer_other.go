//go:build !linux

package control

import (
	"net"
	"os"
)

// peerUser trusts the socket's mode where the kernel's word is not asked.
func peerUser(*net.UnixConn) (int, error) { return os.Geteuid(), nil }
