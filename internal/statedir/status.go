package statedir

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"daybook/internal/billing"
	"daybook/internal/control"
	"daybook/internal/state"
)

// StatusOf is the report on a state: of what r reads and, if live is not nil, of what the ingest that runs on it knows.
func StatusOf(r *state.Reader, live *control.Live, now time.Time) (control.Status, error) {
	id := r.Identity()
	s := control.Status{Database: id.Database, Cluster: id.Cluster, Sequence: r.Head().Sequence, At: now.UTC()}
	lags := map[topicPartition]control.PartitionLag{}
	if live != nil {
		s.Running, s.PID, s.Ready, s.NotReady, s.Warnings = true, live.PID, live.Ready, live.NotReady, live.Warnings
		for _, l := range live.Partitions {
			lags[topicPartition{l.Topic, l.Partition}] = l
		}
	}
	positions, err := r.Positions()
	if err != nil {
		return s, err
	}
	for _, p := range positions {
		s.Partitions = append(s.Partitions, partitionStatus(id, p, lags, now))
	}
	if s.Tenants, err = tenantStatus(r, now); err != nil {
		return s, err
	}
	if s.Quarantine, err = quarantineStatus(r); err != nil {
		return s, err
	}
	decisions, err := r.Decisions()
	s.Decisions = len(decisions)
	return s, err
}

// topicPartition names a partition as Kafka does.
type topicPartition struct {
	topic     string
	partition int32
}

// partitionStatus is the report on one partition.
func partitionStatus(id state.Identity, p state.Position, lags map[topicPartition]control.PartitionLag, now time.Time) control.PartitionStatus {
	s := control.PartitionStatus{
		Topic: TopicName(id, p.Partition.Topic), Partition: p.Partition.Partition,
		FirstOffset: p.FirstOffset, NextOffset: p.NextOffset, EndOffset: -1, LagRecords: -1, LagSeconds: -1,
		CaughtUpAt: p.CaughtUpAt, Delivered: p.Delivered, Control: p.Control, Holes: p.Holes,
		Outcomes: map[string]int64{},
	}
	for o, n := range p.Outcomes {
		s.Outcomes[billing.Outcome(o).String()] = n
	}
	if !p.CaughtUpAt.IsZero() {
		s.LagSeconds = now.Sub(p.CaughtUpAt).Seconds()
	}
	if l, ok := lags[topicPartition{s.Topic, s.Partition}]; ok {
		s.EndOffset, s.Reason = l.EndOffset, l.Reason
		if l.EndOffset >= 0 {
			s.LagRecords = max(0, l.EndOffset-p.NextOffset)
		}
	}
	return s
}

// TopicName is the name of a topic of the state.
func TopicName(id state.Identity, o billing.TopicOrdinal) string {
	for _, t := range id.Topics {
		if t.Ordinal == o {
			return t.Name
		}
	}
	return fmt.Sprintf("topic #%d", o)
}

// tenantStatus is the backlog of each tenant.
func tenantStatus(r *state.Reader, now time.Time) ([]control.TenantStatus, error) {
	tenants, err := r.Tenants()
	if err != nil {
		return nil, err
	}
	var all []control.TenantStatus
	for _, tenant := range tenants {
		d, err := CountDirty(r, tenant, now)
		if err != nil {
			return nil, err
		}
		s := control.TenantStatus{
			Tenant: tenant, CoveredSequence: d.Covered, AccountDays: d.AccountDays, Dirty: d.Dirty, OldestDirty: d.Oldest,
		}
		if !d.Oldest.IsZero() {
			s.OldestDirtyAge = now.Sub(d.Oldest).Seconds()
		}
		all = append(all, s)
	}
	return all, nil
}

// quarantineStatus counts the quarantined records by tenant, reason and status.
func quarantineStatus(r *state.Reader) ([]control.QuarantineStatus, error) {
	type group struct {
		tenant billing.TenantID
		reason billing.Reason
		status state.QuarantineStatus
	}
	groups := map[group]*control.QuarantineStatus{}
	for q, err := range r.Quarantine(false) {
		if err != nil {
			return nil, err
		}
		k := group{q.Rejection.Tenant, q.Rejection.Reason, q.Status}
		s, ok := groups[k]
		if !ok {
			s = &control.QuarantineStatus{Tenant: k.tenant, Reason: k.reason, Status: k.status}
			groups[k] = s
		}
		s.Records++
		if q.Rejection.HasCost {
			if sum, ok := s.Cost.Add(q.Rejection.Cost); ok {
				s.Cost = sum
				s.CostRecords++
			}
		}
	}
	all := make([]control.QuarantineStatus, 0, len(groups))
	for _, s := range groups {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b control.QuarantineStatus) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Status, b.Status))
	})
	return all, nil
}
