package lake

import (
	"time"

	"daybook/internal/billing"
)

// Topic is one topic of the log that a release was made from.
type Topic struct {
	Name    string               `json:"name"`
	ID      string               `json:"topic_id,omitempty"`
	Ordinal billing.TopicOrdinal `json:"ordinal"` // rank in the order of versions
	// Elsewhere: the topic is bound to another tenant, so that no record of it counts for this one.
	Elsewhere bool `json:"bound_elsewhere,omitempty"`
}

// Decision is an operator's decision that a release depends on.
type Decision struct {
	Number uint64    `json:"number"`
	Kind   string    `json:"kind"`
	Who    string    `json:"who"`
	When   time.Time `json:"when"`
	Why    string    `json:"why"`
	// FromDay and ToDay are the first and the last usage date that it concerns; empty: no bound.
	FromDay string `json:"from_day,omitempty"`
	ToDay   string `json:"to_day,omitempty"`
	// Settled is the quarantined records that it resolves.
	Settled []Offsets `json:"settled,omitempty"`
	Gap     *Gap      `json:"gap,omitempty"`
}

// Offsets names records of one partition.
type Offsets struct {
	Topic     string  `json:"topic"`
	Partition int32   `json:"partition"`
	Offsets   []int64 `json:"offsets"`
}

// Gap is a range of offsets that were skipped.
type Gap struct {
	Topic      string `json:"topic"`
	Partition  int32  `json:"partition"`
	FromOffset int64  `json:"from_offset"`
	NextOffset int64  `json:"next_offset"`
}

// Window is a range of usage dates, both inclusive.
type Window struct {
	From billing.Day `json:"from"`
	To   billing.Day `json:"to"`
}
