// Package inspect answers questions about releases. It only reads.
//
// It owns what a difference between two releases is: Change compares an account-day in two releases, and day
// building, rollback and verification use it, so that the ledger says the same whichever way a release was made. It
// compares a release with a file of totals (Compare) and with another release's digests (Certificate), and looks up
// whether a day is complete (Completeness). It also owns the reasons that the ledger and the manifest give.
//
// It does not read the state or the log: publish compares a release with the state, audit with the log.
//
// A release is immutable, so that all functions may be called concurrently with each other and with publishers. What
// they return is the caller's.
package inspect
