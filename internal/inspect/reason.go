package inspect

import (
	"slices"
	"strings"

	"daybook/internal/billing"
	"daybook/internal/dedup"
)

// Causes: why an account-day changed.
const (
	ReasonNew            = "new"             // an event of a day that no release had
	ReasonLateEvent      = "late_event"      // an event that was not there, of a day that was released before
	ReasonCorrected      = "corrected"       // an event has another content
	ReasonMovedIn        = "moved_in"        // an event came from another account-day
	ReasonMovedOut       = "moved_out"       // an event went to another account-day
	ReasonDeleted        = "deleted"         // an event was deleted
	ReasonStateRebuilt   = "state_rebuilt"   // the release before was made from another state: the cause is not known
	ReasonDamageRepaired = "damage_repaired" // nothing changed it, and it was recomputed to other numbers
	ReasonRollback       = "rollback"        // an earlier release was published again
)

// Reasons for which an account-day is not complete. In the ledger, such a reason with the suffix _resolved holds no
// longer; every quarantine reason becomes quarantine_resolved.
const (
	ReasonInputBehind = "input_behind"   // a partition was not read up to the day's cutoff
	ReasonGapAccepted = "gap_accepted"   // an accepted gap in the log may have held events of the day
	ReasonNoEvents    = "no_events"      // a due day has no row
	ReasonSilent      = "account_silent" // an expected account sent nothing
	ReasonNoRelease   = "no_release"     // the tenant has no release
	ReasonNotReleased = "not_released"   // the newest release does not have the day

	quarantine     = "quarantine"
	resolvedSuffix = "_resolved"
)

// ReasonQuarantine is the reason of an account-day that a quarantined record names.
func ReasonQuarantine(r billing.Reason) string { return quarantine + ":" + string(r) }

// The FOCUS TimeSectors words of lake.DayEntry.Completeness.
const (
	Complete   = "complete"
	Incomplete = "incomplete"
)

// causes are the ledger's reasons for changes in the state. Withheld has none: which records were quarantined, and
// which were resolved, follows from the reasons of the account-day before and after.
var causes = [...]struct {
	change dedup.Change
	reason string
}{
	{dedup.Added, ReasonNew},
	{dedup.Corrected, ReasonCorrected},
	{dedup.MovedIn, ReasonMovedIn},
	{dedup.MovedOut, ReasonMovedOut},
	{dedup.Removed, ReasonDeleted},
}

// Causes are the ledger's reasons for changes in the state of an account-day; released says whether a release had
// its day before.
func Causes(c dedup.Change, released bool) []string {
	reasons := make([]string, 0, 2)
	for _, cause := range causes {
		switch {
		case c&cause.change == 0:
		case cause.change == dedup.Added && released:
			reasons = append(reasons, ReasonLateEvent)
		default:
			reasons = append(reasons, cause.reason)
		}
	}
	return reasons
}

// resolved are the reasons of before that hold no longer, each as the ledger names it, once.
func resolved(before, after []string) []string {
	var reasons []string
	for _, r := range before {
		if slices.Contains(after, r) {
			continue
		}
		name, _, _ := strings.Cut(r, ":")
		if name += resolvedSuffix; !slices.Contains(reasons, name) {
			reasons = append(reasons, name)
		}
	}
	return reasons
}
