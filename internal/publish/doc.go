// Package publish turns a state into releases. It finds the account-days that
// are due and changed, recomputes exactly those from their events, checks the
// result by its gates, and has package lake make it visible in one step.
//
// It owns which days are due and complete, what a release changes, the ledger
// of restatements, and the gates. It does not own the layout of a release on
// disk (lake), how a state is read (state), or how events add up (rollup). It
// never consumes from Kafka and never imports ingest: both share the state
// directory and nothing else.
//
// A run reads one checkpoint for all tenants. Tenants are published one after
// the other, the days of a tenant by a few workers concurrently. A tenant that
// fails does not stop the others. A run that ends before the switch of
// `current` leaves the newest release untouched, and the next run repeats it:
// with the same as-of, input, rules and previous release it writes the same
// bytes. In a day's file of events it writes the row groups in which something
// changed and copies the others from the released file.
package publish
