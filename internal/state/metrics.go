package state

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	writes         prometheus.Counter
	writeTime      prometheus.Histogram
	checkpoints    prometheus.Histogram
	tables         prometheus.Counter
	compactionWait prometheus.Counter
	sequence       prometheus.Gauge
	unfolded       prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	return &metrics{
		writes: f.NewCounter(prometheus.CounterOpts{
			Name: "daybook_state_writes_total", Help: "Atomic writes made durable."}),
		writeTime: f.NewHistogram(prometheus.HistogramOpts{
			Name: "daybook_state_write_seconds", Help: "Duration of an atomic write, from resolving to durable.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}),
		checkpoints: f.NewHistogram(prometheus.HistogramOpts{
			Name: "daybook_state_checkpoint_seconds", Help: "Duration of a checkpoint, during which writes wait.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 12)}),
		tables: f.NewCounter(prometheus.CounterOpts{
			Name: "daybook_state_tables_total", Help: "Tables written for large batches and ingested."}),
		compactionWait: f.NewCounter(prometheus.CounterOpts{
			Name: "daybook_state_compaction_wait_seconds_total", Help: "Time that large batches waited for compactions."}),
		sequence: f.NewGauge(prometheus.GaugeOpts{
			Name: "daybook_state_sequence", Help: "Sequence of the newest journal entry."}),
		unfolded: f.NewGauge(prometheus.GaugeOpts{
			Name: "daybook_state_journal_entries", Help: "Journal entries not yet folded into the base."}),
	}
}
