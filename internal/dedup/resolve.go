package dedup

import "daybook/internal/billing"

// Resolution is the effect of one version.
type Resolution struct {
	Outcome billing.Outcome
	// Winner is the winner afterwards. Changed means that it differs from the one before and must be stored.
	Winner  Winner
	Changed bool
	// Dirty[:N] are the account-days that the version changes.
	Dirty [2]Touch
	N     int
	// Put means that the event must be stored in its account-day, in place of what is stored of it there or
	// elsewhere. If Winner is deleted, nothing must be stored of it.
	Put bool
	// Raise means that only the version of the stored event changes.
	Raise bool
}

// Touch is an account-day and why it is dirty.
type Touch struct {
	AccountDay billing.AccountDay
	Change     Change
}

// Resolve applies the version next, whose content digest is digest, to the winner prev; ok means that there is
// one. It calls cost, which returns the money of the winner's event, only if two upserts tie and their contents
// differ. Its only error is that of cost.
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
// A delete that comes first leaves a deleted winner, which supersedes the older versions that follow. Its
// outcome is deleted, and nothing is dirty.
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
		// Otherwise a version between the two could come later and win wrongly.
		r.Winner.Version = next.Version
		r.Raise = !prev.Deleted
	}
	r.Changed = r.Winner != prev
	return r, nil
}

// first returns the resolution of the first version of an event.
func first(next *billing.Event, digest billing.Digest) Resolution {
	r := Resolution{Outcome: billing.Deleted, Winner: WinnerOf(next, digest), Changed: true}
	if next.Op != billing.Delete {
		r.Outcome, r.Put = billing.New, true
		r.touch(next.AccountDay(), Added)
	}
	return r
}

// replace returns the resolution of a greater version with other content.
func replace(prev *Winner, next *billing.Event, digest billing.Digest, tied bool) Resolution {
	r := Resolution{Outcome: billing.Replaced, Winner: WinnerOf(next, digest), Changed: true}
	r.Winner.Tied = tied
	from, to := prev.accountDay(next.Tenant), next.AccountDay()
	switch {
	case next.Op == billing.Delete: // prev is an upsert: all deletes of an event have the same content
		r.Outcome = billing.Deleted
		r.touch(from, Removed)
	case prev.Deleted:
		r.Put = true
		r.touch(to, Added)
	case from == to:
		r.Put = true
		r.touch(to, Corrected)
	default:
		r.Put = true
		r.touch(from, MovedOut)
		r.touch(to, MovedIn)
	}
	return r
}

// ties reports whether the winner of prev and next is tied: whether another version with its ingested_at and
// source_revision has other money. A delete has no money, which is other money than zero dollars.
//
// The result does not depend on the order of arrival. Either all versions that tie with the winner have the
// same money, or two of them differ; then one of the two differs from whichever version wins.
func ties(prev *Winner, next *billing.Event, same bool, cost func() (billing.Money, error)) (bool, error) {
	if !next.Version.Ties(prev.Version) {
		// The lesser does not tie with the winner, nor does any version that ties with the lesser.
		return prev.Tied && next.Version.Compare(prev.Version) < 0, nil
	}
	if prev.Tied || same {
		return prev.Tied, nil
	}
	if prev.Deleted || next.Op == billing.Delete {
		return true, nil // only one of them is a delete: two have the same content
	}
	was, err := cost()
	return err == nil && was != next.Cost, err
}

// WinnerOf returns the winner if e wins. digest is e's content digest.
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
