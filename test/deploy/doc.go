// Package deploy checks what is under deploy/ with the libraries of the
// programs that will read it: alert rules and their unit tests with
// Prometheus's own, the Compose file with Compose's. It is a module of its own,
// so that none of these is a dependency of Daybook.
package deploy
