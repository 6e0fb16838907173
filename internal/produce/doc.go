// Package produce brings billing events to a Kafka topic: it reads JSON lines,
// CSV, AWS Cost and Usage Reports and FOCUS exports, maps each row to an event
// as docs/events.md has it, and pushes it. It also makes synthetic load.
//
// It owns how foreign columns become fields and how a charge without an id of
// its own gets one. It does not own the verdict on an event: a row that maps is
// pushed, and ingest quarantines what cannot be an event. A row that cannot be
// mapped is a BadRow: reported with file and line, counted, never dropped
// unseen. No cost is ever computed with; its text travels as written.
//
// A Load and a Generator are used by one goroutine at a time. Pushing is
// idempotent within a run (no record twice, none out of order in a partition),
// and repeating a run is harmless because ids and ingested_at come from the
// files: every copy is a duplicate.
package produce
