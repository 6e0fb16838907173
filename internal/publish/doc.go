// Package publish turns a state into releases: it finds out which account-days
// are due and changed, recomputes exactly those from their events, holds the
// result against the gates, and has lake make it visible in one step.
//
// It owns what is due, what is complete, what counts as work, the ledger of
// restatements, and the gates. It does not own how a release lies on disk
// (lake does), how a state is read (state), or how events add up (rollup). It
// never consumes from Kafka and never imports ingest: both meet in the state
// directory alone.
//
// A run reads one checkpoint, for all tenants. Tenants are published one after
// the other, and days of a tenant by a few workers at once. A tenant that fails
// does not stop the others. A run that ends anywhere before the switch of
// `current` leaves the newest release untouched, and the next run does the work
// again: with the same as-of, input, rules and previous release it writes the
// same bytes. In a day's file of events it writes the row groups in which something changed, and takes over
// the others.
package publish
