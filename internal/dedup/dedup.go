// Package dedup decides which version of an event wins: the one that was ingested last.
//
// It is pure: the caller looks up the winner that the state holds, and stores what Resolve returns. It does not
// own the order of versions (billing.Version does) or where anything is stored. All types are values, and all
// functions are safe for concurrent use.
//
// Over the set of an event's versions Resolve is a join of a semilattice, as in a state-based CRDT (Shapiro et
// al. 2011): commutative, associative and idempotent. So order, repetition, batches and restarts do not change
// the winner. Only the outcomes, and which account-days were dirty meanwhile, depend on the order of arrival.
package dedup

import "daybook/internal/billing"

// Winner is what the state keeps of an event's winner in addition to its content.
type Winner struct {
	Version billing.Version
	Account billing.AccountID // empty when Deleted
	Day     billing.Day
	Digest  billing.Digest
	Deleted bool
	// Tied means that another version with the winner's ingested_at and source_revision has other money.
	Tied bool
}

// accountDay returns the account-day of the winner's event. It is meaningless if the winner is deleted.
func (w *Winner) accountDay(t billing.TenantID) billing.AccountDay {
	return billing.AccountDay{Tenant: t, Account: w.Account, Day: w.Day}
}

// Change is the set of reasons why an account-day is dirty.
type Change uint8

// The changes. Their numbers are stored and never change.
const (
	Added     Change = 1 << iota // a new event
	Corrected                    // other content in the same account-day
	MovedIn
	MovedOut
	Removed  // an op=delete
	Withheld // a record was quarantined, or its quarantine was resolved
)
