package dedup

import "daybook/internal/billing"

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
// (ok: there is one). cost is the money of the winner's event; it is called
// only when two upserts tie and their contents differ. An error is cost's own.
//
//	next is                         outcome     dirty
//	the first version               new         its account-day: Added
//	of the winner's content         duplicate   none; a greater version raises the winner's
//	older than the winner           superseded  none
//	a greater delete                deleted     the winner's account-day: Removed
//	greater, same account-day       replaced    that account-day: Corrected
//	greater, another account-day    replaced    the old one: MovedOut, the new one: MovedIn
//	greater than a delete           replaced    its account-day: Added
//
// A delete that comes first leaves a deleted winner, so that older versions
// that come later stay out; its outcome is deleted, and nothing is dirty.
func Resolve(prev Winner, ok bool, next *billing.Event, digest billing.Digest, cost func() (billing.Money, error)) (Resolution, error) {
	if !ok {
		return first(next, digest), nil
	}
	same := digest == prev.Digest
	tied, err := ties(&prev, next, same, cost)
	if err != nil {
		return Resolution{}, err
	}
	greater := next.Version.Compare(prev.Version) > 0
	if greater && !same {
		return replace(&prev, next, digest, tied), nil
	}
	r := Resolution{Outcome: billing.Superseded, Winner: prev}
	if same {
		r.Outcome = billing.Duplicate
	}
	r.Winner.Tied = tied
	if greater {
		// Else a version between the two could come later and win wrongly.
		r.Winner.Version = next.Version
		r.Raise = !prev.Deleted
	}
	r.Changed = r.Winner != prev
	return r, nil
}

// first is the resolution of the first version of an event.
func first(next *billing.Event, digest billing.Digest) Resolution {
	r := Resolution{Outcome: billing.Deleted, Winner: WinnerOf(next, digest), Changed: true}
	if next.Op != billing.Delete {
		r.Outcome, r.Put = billing.New, true
		r.touch(next.AccountDay(), Added)
	}
	return r
}

// replace is the resolution of a greater version with other content.
func replace(prev *Winner, next *billing.Event, digest billing.Digest, tied bool) Resolution {
	r := Resolution{Outcome: billing.Replaced, Winner: WinnerOf(next, digest), Changed: true}
	r.Winner.Tied = tied
	from, to := prev.accountDay(next.Tenant), next.AccountDay()
	switch {
	case next.Op == billing.Delete: // prev is live: all deletes of an event have one content
		r.Outcome = billing.Deleted
		r.drop(from, Removed)
	case prev.Deleted:
		r.Put = true
		r.touch(to, Added)
	case from == to:
		r.Put = true
		r.touch(to, Corrected)
	default:
		r.Put = true
		r.drop(from, MovedOut)
		r.touch(to, MovedIn)
	}
	return r
}

// ties reports whether the winner of prev and next is tied: whether a version
// with the winner's ingested_at and source_revision carried other money. A
// deleted event carries none, which is other money than zero dollars: it does
// not count as an event either.
//
// It is independent of the order: among the versions that tie with the winner
// money differs, or it does not. Once a pair that differs was seen, one of the
// two differs from whatever tying version wins.
func ties(prev *Winner, next *billing.Event, same bool, cost func() (billing.Money, error)) (bool, error) {
	if !next.Version.Ties(prev.Version) {
		// Then the lesser does not tie with the winner, nor does anything
		// that the lesser tied with.
		return prev.Tied && next.Version.Compare(prev.Version) < 0, nil
	}
	if prev.Tied || same {
		return prev.Tied, nil
	}
	if prev.Deleted || next.Op == billing.Delete {
		return true, nil // one of them alone: two deletes have the same content
	}
	was, err := cost()
	return err == nil && was != next.Cost, err
}

// WinnerOf is what the winner is if e, whose content digest is digest, wins: of one that comes alone, too.
func WinnerOf(e *billing.Event, digest billing.Digest) Winner {
	w := Winner{Version: e.Version, Digest: digest, Deleted: e.Op == billing.Delete}
	if !w.Deleted {
		w.Account, w.Day = e.Account, e.Day
	}
	return w
}

func (r *Resolution) touch(a billing.AccountDay, c Change) {
	r.Dirty[r.N] = Touch{a, c}
	r.N++
}

// drop removes the event from a, which becomes dirty.
func (r *Resolution) drop(a billing.AccountDay, c Change) {
	r.Drop, r.DropOld = a, true
	r.touch(a, c)
}
