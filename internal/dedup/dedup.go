// Package dedup is the rule by which the latest-ingested version of an event
// wins. It is pure: the caller looks up what the state holds and writes what
// Resolve says.
//
// Resolve is a merge: commutative, associative and idempotent over the set of
// versions, so order, repetition, batching and restarts cannot change where
// it ends. Only the split into outcomes depends on the order of arrival.
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

// Resolution is what applying one version does.
type Resolution struct {
	Outcome billing.Outcome
	// Winner is the winner afterwards; Changed says it differs from before
	// and must be written.
	Winner  Winner
	Changed bool
	// Dirty are the account-days that the version touches, Dirty[:N].
	Dirty [2]Touch
	N     int
	// Drop, when DropOld, is the account-day whose record of this event goes.
	Drop    billing.AccountDay
	DropOld bool
	// Put says that the event itself must be written at its account-day.
	Put bool
	// Raise says that only the version of the stored event moves on.
	Raise bool
}

// Touch is one account-day and why it is dirty.
type Touch struct {
	AccountDay billing.AccountDay
	Change     Change
}

// Resolve applies next, whose content digest is digest, to the winner prev
// (ok: there is one). cost is the winner's money, called only when the two
// versions tie and their contents differ.
func Resolve(prev Winner, ok bool, next *billing.Event, digest billing.Digest, cost func() (billing.Money, error)) (Resolution, error) {
	panic("not built yet")
}
