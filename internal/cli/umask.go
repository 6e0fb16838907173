package cli

import "syscall"

// narrowUmask keeps what the program makes from being written by others, whatever
// umask it was started with. States and sockets have narrower modes of their own.
func narrowUmask() {
	const othersWrite = 0o022
	syscall.Umask(syscall.Umask(othersWrite) | othersWrite)
}
