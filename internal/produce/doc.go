// Package produce pushes billing events to a Kafka topic: it reads JSON lines, CSV, AWS Cost and Usage Reports and
// FOCUS exports, maps each row to an event (docs/events.md), and pushes it. It also generates synthetic load.
//
// It owns the mapping of provider columns to fields, and the ids of charges that have none. It does not own the
// verdict on an event: a mapped row is pushed, and ingest quarantines invalid events. A row that cannot be mapped
// is a BadRow: it is reported with file and line and counted. Costs are copied as text and never computed with.
//
// A Load and a Generator are used by one goroutine at a time. Pushing is
// idempotent within a run (no record twice, none out of order in a partition),
// and repeating a run is harmless because ids and ingested_at come from the
// files: every copy is a duplicate.
package produce
