package state

import "daybook/internal/state/format"

// The types of what is stored belong to package format, which reads and writes their bytes. Users of a state
// need this package alone, so they have these names here; format itself is for this package and those below it.
type (
	DatabaseID       = format.DatabaseID
	Digest           = format.Digest
	Sequence         = format.Sequence
	Head             = format.Head
	Topic            = format.Topic
	Identity         = format.Identity
	PartitionID      = format.PartitionID
	Position         = format.Position
	Marker           = format.Marker
	Quarantined      = format.Quarantined
	QuarantineStatus = format.QuarantineStatus
	Decision         = format.Decision
	DecisionKind     = format.DecisionKind
	Doubt            = format.Doubt
)

// FormatVersion is the version of all keys and values that this program reads and writes.
const FormatVersion = format.FormatVersion

// The statuses of a quarantined record.
const (
	QuarantineOpen       = format.QuarantineOpen
	QuarantineSuperseded = format.QuarantineSuperseded // a greater version of its event was accepted
	QuarantineResolved   = format.QuarantineResolved   // an operator decided
)

// The doubts about evidence of being caught up.
const (
	DoubtFuture    = format.DoubtFuture
	DoubtSetBack   = format.DoubtSetBack
	DoubtOtherBoot = format.DoubtOtherBoot
)

// The kinds of decision.
const (
	GapAccepted       = format.GapAccepted
	QuarantineSettled = format.QuarantineSettled
	EmptyDayAllowed   = format.EmptyDayAllowed
	RulesLoosened     = format.RulesLoosened
	DecisionsCarried  = format.DecisionsCarried
)

// Errors of reading keys and values.
var (
	ErrDamaged = format.ErrDamaged // a check failed; remedy: ingest rebuild
	ErrFormat  = format.ErrFormat  // written by another version of Daybook
)
