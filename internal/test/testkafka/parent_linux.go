package testkafka

import (
	"os/exec"
	"syscall"
)

// endWithParent has the system kill the process when this one ends, however it does.
func endWithParent(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
