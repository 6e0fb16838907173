// Package statedir opens a state directory whether or not an ingest runs on it: a running ingest is asked over its
// control socket, otherwise the state is opened directly, for as short as possible.
//
// It owns the decision which of the two applies, the directory of checkpoints, backups, and the report of `ingest
// status`. It does not own the state's contents (package state) or the protocol (package control).
//
// A Dir is a value without a state of its own and is safe for concurrent use. Checkpoints belong to one process. What
// Decide, SetCovered and Backup wrote is durable when they return nil.
package statedir
