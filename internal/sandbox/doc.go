// Package sandbox runs Daybook on one machine and in one process: an embedded Kafka-compatible broker, a demonstration,
// and a trial that loads a user's own bill. It connects the other packages as their programs do and owns no rule of the
// numbers.
//
// The broker listens on loopback only. Acknowledged records are on disk if it has a data directory, which only one
// process at a time may use.
package sandbox
