//go:build !linux

package testkafka

import "os/exec"

// endWithParent does nothing: who starts brokers closes the cluster.
func endWithParent(*exec.Cmd) {}
