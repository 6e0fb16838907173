package format

import (
	"encoding/json"
	"fmt"
	"time"

	"daybook/internal/billing"
)

// DecisionKind says what a decision settles.
type DecisionKind string

// The kinds of decision.
const (
	GapAccepted       DecisionKind = "gap_accepted"
	QuarantineSettled DecisionKind = "quarantine_resolved"
	EmptyDayAllowed   DecisionKind = "empty_day_allowed"
	RulesLoosened     DecisionKind = "rules_loosened"
	DecisionsCarried  DecisionKind = "decisions_carried"
)

// Decision is what a person settled: who, when and why.
type Decision struct {
	Number uint64           `json:"number"` // assigned by the store, from 1
	Kind   DecisionKind     `json:"kind"`
	Who    string           `json:"who"`
	When   time.Time        `json:"when"`
	Why    string           `json:"why"`
	Tenant billing.TenantID `json:"tenant,omitempty"`
	// FromDay and ToDay are the first and the last day concerned, as YYYY-MM-DD. An empty FromDay is no bound.
	FromDay string `json:"from_day,omitempty"`
	ToDay   string `json:"to_day,omitempty"`
	// Records are the quarantined records that it resolves.
	Records []billing.Source `json:"records,omitempty"`
	// Topic, Partition, From and Next are the accepted gap of offsets, [From, Next).
	Topic     billing.TopicOrdinal `json:"topic"`
	Partition int32                `json:"partition"`
	From      int64                `json:"from_offset,omitempty"`
	Next      int64                `json:"next_offset,omitempty"`
}

// decisionFormat is the first byte of a decision's value. JSON follows.
const decisionFormat = 1

// AppendDecisionValue appends the value of a decision.
func AppendDecisionValue(b []byte, d *Decision) ([]byte, error) {
	text, err := json.Marshal(d)
	if err != nil {
		return b, fmt.Errorf("write decision: %w", err)
	}
	return append(append(b, decisionFormat), text...), nil
}

// ParseDecision reads a decision.
func ParseDecision(key, value []byte) (d Decision, err error) {
	n, err := ParseSequenceKey(key)
	if err != nil {
		return d, err
	}
	if len(value) == 0 || value[0] != decisionFormat {
		return d, fmt.Errorf("%w: decision %d has an unknown format", ErrDamaged, n)
	}
	if err := json.Unmarshal(value[1:], &d); err != nil || d.Number != n {
		return d, fmt.Errorf("%w: unreadable decision %d", ErrDamaged, n)
	}
	return d, nil
}
