package publish

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are the publisher's. No label names a tenant.
type metrics struct {
	runs     *prometheus.CounterVec
	tenants  *prometheus.CounterVec
	gates    *prometheus.CounterVec
	accounts prometheus.Counter
	seconds  prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	with := promauto.With(reg)
	m := &metrics{
		runs: with.NewCounterVec(prometheus.CounterOpts{
			Name: "daybook_publish_runs_total", Help: "Runs of the publisher, by result.",
		}, []string{"result"}),
		tenants: with.NewCounterVec(prometheus.CounterOpts{
			Name: "daybook_publish_tenants_total", Help: "Tenants handled by runs, by outcome.",
		}, []string{"outcome"}),
		gates: with.NewCounterVec(prometheus.CounterOpts{
			Name: "daybook_publish_gate_results_total", Help: "Results of gates.",
		}, []string{"gate", "result"}),
		accounts: with.NewCounter(prometheus.CounterOpts{
			Name: "daybook_publish_recomputed_account_days_total", Help: "Account-days recomputed from their events.",
		}),
		seconds: with.NewHistogram(prometheus.HistogramOpts{
			Name: "daybook_publish_run_duration_seconds", Help: "Duration of a run over all tenants.",
			Buckets: prometheus.ExponentialBuckets(0.1, 4, 8),
		}),
	}
	for _, result := range []string{"done", "error"} {
		m.runs.WithLabelValues(result)
	}
	for _, o := range []Outcome{Published, NothingNew, DryRun, Failed} {
		m.tenants.WithLabelValues(string(o))
	}
	for _, g := range gateNames {
		m.gates.WithLabelValues(g, "passed")
		m.gates.WithLabelValues(g, "failed")
	}
	return m
}

// finish counts one run.
func (m *metrics) finish(took time.Duration, err error) {
	m.seconds.Observe(took.Seconds())
	result := "done"
	if err != nil {
		result = "error"
	}
	m.runs.WithLabelValues(result).Inc()
}

// tenant counts one tenant of a run.
func (m *metrics) tenant(t *TenantReport) {
	m.tenants.WithLabelValues(string(t.Outcome)).Inc()
	m.accounts.Add(float64(t.Accounts))
	for _, g := range t.Gates {
		result := "passed"
		if !g.Passed {
			result = "failed"
		}
		m.gates.WithLabelValues(g.Gate, result).Inc()
	}
}
