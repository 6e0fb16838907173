// Package ingest is the loop that consumes billing topics into a state: it reads each Kafka partition from the position
// that the state holds, decodes every record, applies batches atomically, and records up to when all input was read.
//
// It owns what is read and where a restart continues; no consumer group and no client default decides that. It does not
// own verdicts (decode), versions (dedup) or what is durable (state). Anything that could lose input silently stops it
// with a named error.
//
// An Ingester is made by New, runs once by Run and is closed by Close. Ready and Status may be called from any
// goroutine. What was applied is durable; what was fetched and not applied is fetched again.
package ingest
