// Package bench holds the measurements behind docs/performance.md: the real
// programs as processes of their own, on synthetic load from an embedded broker
// in another process, beside what consuming and decoding alone reach and beside
// DuckDB doing the same work. One run prints one table, so that ratios are of
// the same machine in the same minutes. It contains tests alone.
//
// `go test` runs everything at a size that proves only that it works;
// `make bench` and `make bench-curves` choose sizes that mean something.
package bench
