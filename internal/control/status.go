package control

import (
	"time"

	"daybook/internal/billing"
	"daybook/internal/state"
)

// Status is the report of `ingest status`: the content of the state and, if an ingest runs on it, its live status.
type Status struct {
	Database state.DatabaseID `json:"database_id"`
	Cluster  string           `json:"cluster_id"`
	Sequence state.Sequence   `json:"sequence"`
	At       time.Time        `json:"at"` // time of the report
	Running  bool             `json:"running"`
	PID      int              `json:"pid,omitempty"`
	Ready    bool             `json:"ready"`
	NotReady string           `json:"not_ready,omitempty"`
	Warnings []string         `json:"warnings,omitempty"`

	Partitions []PartitionStatus  `json:"partitions"`
	Tenants    []TenantStatus     `json:"tenants"`
	Quarantine []QuarantineStatus `json:"quarantine"`
	Decisions  int                `json:"decisions"`
}

// PartitionStatus has the position and the counters of one Kafka partition.
type PartitionStatus struct {
	Topic       string           `json:"topic"`
	Partition   int32            `json:"partition"`
	FirstOffset int64            `json:"first_offset"`
	NextOffset  int64            `json:"next_offset"`
	EndOffset   int64            `json:"end_offset"`  // -1: unknown, no ingest runs
	LagRecords  int64            `json:"lag_records"` // offsets not read yet; -1: unknown
	LagSeconds  float64          `json:"lag_seconds"` // since caught-up-at; -1: never caught up
	CaughtUpAt  time.Time        `json:"caught_up_at"`
	Reason      string           `json:"reason,omitempty"` // why it is not caught up
	Delivered   int64            `json:"delivered"`
	Control     int64            `json:"control"`
	Holes       int64            `json:"holes"`
	Outcomes    map[string]int64 `json:"outcomes"`
}

// TenantStatus is the backlog of a tenant: what its newest release does not contain yet.
type TenantStatus struct {
	Tenant          billing.TenantID `json:"tenant"`
	CoveredSequence state.Sequence   `json:"covered_sequence"`
	AccountDays     int64            `json:"account_days"`
	Dirty           int64            `json:"dirty_account_days"`
	OldestDirty     time.Time        `json:"oldest_dirty"` // since when the oldest dirty account-day of a past day waits; zero: none waits
	OldestDirtyAge  float64          `json:"oldest_dirty_age_seconds"`
}

// QuarantineStatus counts the quarantined records of one tenant, reason and status.
type QuarantineStatus struct {
	Tenant  billing.TenantID       `json:"tenant,omitempty"` // empty: not readable
	Reason  billing.Reason         `json:"reason"`
	Status  state.QuarantineStatus `json:"status"`
	Records int64                  `json:"records"`
	// Cost is the sum of the costs that could be read, of CostRecords records.
	Cost        billing.Money `json:"cost_usd"`
	CostRecords int64         `json:"cost_records"`
}
