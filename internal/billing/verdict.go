package billing

import "fmt"

// Outcome is the result of one delivered record. Every record has exactly one.
type Outcome uint8

// The outcomes. Their numbers are stored and never change.
const (
	New Outcome = iota
	Replaced
	Duplicate
	Superseded
	Deleted
	Quarantined
	OutcomeCount // the number of outcomes, not an outcome
)

// String returns the outcome's name in metrics, status and docs.
func (o Outcome) String() string {
	if o < OutcomeCount {
		return outcomeNames[o]
	}
	return fmt.Sprintf("outcome %d", uint8(o))
}

var outcomeNames = [OutcomeCount]string{
	New:         "new",
	Replaced:    "replaced",
	Duplicate:   "duplicate",
	Superseded:  "superseded",
	Deleted:     "deleted",
	Quarantined: "quarantined",
}

// Rejection is the verdict on a record that is not an event: the reason, and every field that could be read. It
// is an error.
type Rejection struct {
	Reason Reason
	// Detail explains the reason to a person. It quotes at most 64 bytes of the record, escaped.
	Detail string

	// The fields that could be read; zero if they could not.
	Tenant  TenantID
	Event   EventID
	Account AccountID
	Day     Day
	HasDay  bool
	Cost    Money
	HasCost bool
	// Version is always set. If ingested_at cannot be read or is out of bounds, it has the record's timestamp
	// instead, so that a later correction of the event has a greater version.
	Version Version
}

// Error returns the reason and the detail.
func (r *Rejection) Error() string { return string(r.Reason) + ": " + r.Detail }
