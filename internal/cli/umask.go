package cli

import "syscall"

// narrowUmask removes write permission for others from all files that the program creates. States and sockets set
// narrower modes.
func narrowUmask() {
	const othersWrite = 0o022
	syscall.Umask(syscall.Umask(othersWrite) | othersWrite)
}
