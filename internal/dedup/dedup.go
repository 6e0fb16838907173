// Package dedup is the rule by which the latest-ingested version of an event
// wins. It is pure: the caller looks up what the state holds and writes what
// Resolve says. It does not own the order of versions (billing.Version does)
// nor where anything is stored. Everything is a value or a pure function, safe
// for concurrent use.
//
// Resolve is a merge: commutative, associative and idempotent over the set of
// versions, so order, repetition, batching and restarts cannot change where
// it ends. Only the split into outcomes, and which account-days were dirty on
// the way, depend on the order of arrival.
package dedup

import "daybook/internal/billing"

// Winner is what the state remembers of an event's winner beside its content.
type Winner struct {
	Version billing.Version
	Account billing.AccountID // empty when Deleted
	Day     billing.Day
	Digest  billing.Digest
	Deleted bool
	// Tied is set when another version with the winner's ingested_at and
	// source_revision carried other money.
	Tied bool
}

// accountDay is where the winner's event counts; meaningless when Deleted.
func (w *Winner) accountDay(t billing.TenantID) billing.AccountDay {
	return billing.AccountDay{Tenant: t, Account: w.Account, Day: w.Day}
}

// Change says why an account-day became dirty, as a set.
type Change uint8

// The changes. Their numbers are stored and never change.
const (
	Added     Change = 1 << iota // an event that was not there
	Corrected                    // another content in the same account-day
	MovedIn
	MovedOut
	Removed  // an op=delete
	Withheld // a record was quarantined, or its quarantine resolved
)
