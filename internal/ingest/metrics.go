package ingest

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"daybook/internal/billing"
	"daybook/internal/state"
)

// metrics are the metrics of the consume loop; package state has those of writes and storage.
type metrics struct {
	fetched     *prometheus.CounterVec // by topic
	outcomes    *prometheus.CounterVec // by outcome
	reasons     *prometheus.CounterVec
	rounded     prometheus.Counter
	conflicts   prometheus.Counter
	control     prometheus.Counter
	missing     prometheus.Counter
	batchSize   prometheus.Histogram
	fetchErrors prometheus.Counter
	ready       prometheus.Gauge
	warnings    *prometheus.GaugeVec
	nextOffset  *prometheus.GaugeVec
	lagRecords  *prometheus.GaugeVec
	caughtUpAt  *prometheus.GaugeVec
	lagSeconds  *prometheus.GaugeVec
	dirty       prometheus.Gauge
	oldestDirty prometheus.Gauge
	quarantine  *prometheus.GaugeVec
	parsedUSD   prometheus.Gauge
}

// newMetrics registers the metrics with reg; nil: nowhere.
func newMetrics(reg prometheus.Registerer) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	f := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: "daybook_ingest_" + name, Help: help})
	}
	perPartition := func(name, help string) *prometheus.GaugeVec {
		return f.NewGaugeVec(prometheus.GaugeOpts{Name: "daybook_ingest_" + name, Help: help}, []string{"topic", "partition"})
	}
	m := &metrics{
		fetched:     f.NewCounterVec(prometheus.CounterOpts{Name: "daybook_ingest_fetched_records_total", Help: "Records fetched and judged."}, []string{"topic"}),
		outcomes:    f.NewCounterVec(prometheus.CounterOpts{Name: "daybook_ingest_records_total", Help: "Records applied durably, by outcome."}, []string{"outcome"}),
		reasons:     f.NewCounterVec(prometheus.CounterOpts{Name: "daybook_ingest_rejected_records_total", Help: "Records put into quarantine, by reason."}, []string{"reason"}),
		rounded:     counter("rounded_costs_total", "Records whose cost had more than 18 decimal places."),
		conflicts:   counter("version_conflicts_total", "Versions that tied with another of different money."),
		control:     counter("control_records_total", "Control records of transactions read over."),
		missing:     counter("missing_offsets_total", "Offsets that the broker did not deliver."),
		batchSize:   f.NewHistogram(prometheus.HistogramOpts{Name: "daybook_ingest_write_records", Help: "Records in one write.", Buckets: prometheus.ExponentialBuckets(1, 8, 8)}),
		fetchErrors: counter("fetch_errors_total", "Errors of the broker connection that were retried."),
		ready:       f.NewGauge(prometheus.GaugeOpts{Name: "daybook_ingest_ready", Help: "1 while ingest consumes."}),
		warnings:    f.NewGaugeVec(prometheus.GaugeOpts{Name: "daybook_ingest_topic_warning", Help: "1 for each unsafe setting of a topic."}, []string{"topic", "setting"}),
		nextOffset:  perPartition("next_offset", "Next offset to read; everything before it is durable."),
		lagRecords:  perPartition("lag_records", "Offsets between the next to read and the end of the partition."),
		caughtUpAt:  perPartition("caught_up_timestamp_seconds", "Time up to which all input of the partition was read; 0: never."),
		lagSeconds:  perPartition("lag_seconds", "Age of the newest evidence that the partition was caught up; -1: none yet."),
		dirty:       f.NewGauge(prometheus.GaugeOpts{Name: "daybook_ingest_dirty_account_days", Help: "Account-days that changed after the newest release of their tenant, counted each minute."}),
		oldestDirty: f.NewGauge(prometheus.GaugeOpts{Name: "daybook_ingest_oldest_dirty_age_seconds", Help: "Time since the end or, if later, the last change of the account-day that waits longest for a release; 0: none waits."}),
		quarantine:  f.NewGaugeVec(prometheus.GaugeOpts{Name: "daybook_ingest_quarantine_records", Help: "Records in quarantine, by status."}, []string{"status"}),
		parsedUSD:   f.NewGauge(prometheus.GaugeOpts{Name: "daybook_ingest_quarantine_readable_usd", Help: "Readable money of open quarantined records, approximate."}),
	}
	for _, s := range quarantineStatuses {
		m.quarantine.WithLabelValues(string(s))
	}
	for o := range billing.OutcomeCount {
		m.outcomes.WithLabelValues(o.String())
	}
	for _, r := range billing.Reasons() {
		m.reasons.WithLabelValues(string(r))
	}
	return m
}

// applied counts one durable write.
func (m *metrics) applied(b *state.Batch, a state.Applied) {
	m.batchSize.Observe(float64(b.Len()))
	for o, n := range a.Outcomes {
		m.outcomes.WithLabelValues(billing.Outcome(o).String()).Add(float64(n))
	}
	for reason, n := range a.Reasons {
		m.reasons.WithLabelValues(string(reason)).Add(float64(n))
	}
	m.rounded.Add(float64(a.Rounded))
	m.conflicts.Add(float64(a.Ties))
	for _, adv := range b.Advances {
		m.control.Add(float64(adv.Control))
		m.missing.Add(float64(adv.Holes))
	}
}

// quarantineStatuses has all statuses.
var quarantineStatuses = []state.QuarantineStatus{state.QuarantineOpen, state.QuarantineResolved, state.QuarantineSuperseded}

// setBacklog sets the gauges of the backlog.
func (m *metrics) setBacklog(b backlog) {
	m.dirty.Set(float64(b.dirty))
	m.oldestDirty.Set(b.oldestAge.Seconds())
	for _, s := range quarantineStatuses {
		m.quarantine.WithLabelValues(string(s)).Set(float64(b.quarantine[s]))
	}
	m.parsedUSD.Set(b.parsedUSD.Approximate())
}

// labels returns the labels of a partition.
func labels(topic string, partition int32) prometheus.Labels {
	return prometheus.Labels{"topic": topic, "partition": strconv.Itoa(int(partition))}
}
