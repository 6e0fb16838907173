// Package headline holds the tests of Daybook's headline: what is published is
// what the log says, after any order, repetition, crash and replay. It joins
// the real parts (kgo, an embedded broker, Pebble, Parquet, DuckDB) and asks
// internal/test/oracle. It contains tests alone.
package headline
