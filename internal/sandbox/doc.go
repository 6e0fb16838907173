// Package sandbox is Daybook on one machine, in one process: an embedded
// Kafka-compatible broker, a demonstration, and a way to put one's own bill
// through the whole path. It wires the other packages together with plain
// parameters, as their programs do, and owns no rule of the books.
//
// The broker listens on loopback alone. What it acknowledged is on disk if it
// has a data directory, which one process at a time may use.
package sandbox
