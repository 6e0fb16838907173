// Package engine opens Pebble the way a state needs it.
//
// It owns everything about the database that does not depend on what is stored in it: options, the lock, the file
// system that Pebble is given, which of its errors are damage, when compactions run, what its events say about the
// disk, storage metrics, and the writer of tables. It does not know keys, values or transactions: package state
// does.
//
// Durability: DB passes writes to Pebble, which makes them durable as its own documentation says. After a write, or
// a sync, of the log or of a directory failed, what is on disk is unknown; then Options.Fatal ends the process.
//
// Concurrency: DB may be used by several goroutines, as Pebble's may. Close is for one, when no other uses it.
package engine
