// Package format is the bytes of a state: of every key, and of every value. docs/format-state.md draws them.
//
// It owns the keyspaces, how keys are made so that their order is that of what they name, the encodings of values,
// the journal's chain and the digests of rows. It does no I/O, knows nothing of Pebble and has no state of its own:
// where rows are, and when they are written, is package state's.
//
// Functions named Append add a key or a value to a slice and return it, as append does. Functions named Parse read
// a whole key or value, those named Cut read one part of a key and return the rest. Both return ErrDamaged for
// bytes that no Append wrote, and never panic. What they return refers to the memory that they were given, unless
// they say otherwise.
//
// Values may be used by several goroutines that only read them; Strings and Decoder are for one goroutine.
package format
