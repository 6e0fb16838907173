package billing

import "fmt"

// Outcome is what one delivered record came to: exactly one of these.
type Outcome uint8

// The outcomes. Their numbers are stored and never change.
const (
	New Outcome = iota
	Replaced
	Duplicate
	Superseded
	Deleted
	Quarantined
	OutcomeCount // the number of outcomes, not one of them
)

// String is the outcome's word in metrics, status and docs.
func (o Outcome) String() string {
	if o < OutcomeCount {
		return outcomeWords[o]
	}
	return fmt.Sprintf("outcome %d", uint8(o))
}

var outcomeWords = [OutcomeCount]string{
	New:         "new",
	Replaced:    "replaced",
	Duplicate:   "duplicate",
	Superseded:  "superseded",
	Deleted:     "deleted",
	Quarantined: "quarantined",
}

// Rejection is the verdict on a record that cannot be an event: why, and
// whatever could still be read of it. It is an error.
type Rejection struct {
	Reason Reason
	// Detail says more for a person. It may quote at most 64 bytes of the
	// record, escaped.
	Detail string

	// What was readable; zero where it was not.
	Tenant  TenantID
	Event   EventID
	Account AccountID
	Day     Day
	HasDay  bool
	Cost    Money
	HasCost bool
	// Version is always set: where ingested_at cannot be read or is out of
	// bounds the record's timestamp stands in, so that a later correction of
	// the event can be seen to be greater.
	Version Version
}

// Error is the reason and the detail.
func (r *Rejection) Error() string { return string(r.Reason) + ": " + r.Detail }
