package publish

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"daybook/internal/billing"
	"daybook/internal/inspect"
	"daybook/internal/lake"
)

// metrics are the metrics of the publisher. They are gauges of its last run, because it is a job: a counter would
// start from 0 in each process. No label names a tenant.
type metrics struct {
	ended      prometheus.Gauge
	took       prometheus.Gauge
	failed     prometheus.Gauge
	behind     prometheus.Gauge
	tenants    *prometheus.GaugeVec
	gates      *prometheus.GaugeVec
	accounts   prometheus.Gauge
	changes    *prometheus.GaugeVec
	restated   prometheus.Gauge
	quarantine prometheus.Gauge
	held       prometheus.Gauge

	lateDays *prometheus.GaugeVec
	lateness prometheus.Gauge
	covered  prometheus.Gauge
	days     *prometheus.GaugeVec
	holds    prometheus.Gauge
	releases prometheus.Gauge
	bytes    prometheus.Gauge
	newest   prometheus.Gauge
}

// The reasons for which a due day is late.
const (
	lateUnreleased = "unreleased"
	lateBehind     = "input_behind"
)

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Name: "daybook_publish_" + name, Help: help})
	}
	by := func(name, label, help string) *prometheus.GaugeVec {
		return f.NewGaugeVec(prometheus.GaugeOpts{Name: "daybook_publish_" + name, Help: help}, []string{label})
	}
	return &metrics{
		ended:      gauge("last_run_timestamp_seconds", "When the last run ended, with or without success."),
		took:       gauge("run_duration_seconds", "Duration of the last run over all tenants."),
		failed:     gauge("run_failed", "1 if the last run failed for any tenant, or as a whole."),
		behind:     gauge("behind_partitions", "Kafka partitions that were not read up to the newest cutoff."),
		tenants:    by("tenants", "outcome", "Tenants of the last run, by outcome."),
		gates:      by("failed_gates", "gate", "Tenants for which a gate failed in the last run."),
		accounts:   gauge("recomputed_account_days", "Account-days that the last run recomputed from their events."),
		changes:    by("changed_account_days", "kind", "Account-days that the last run's releases changed, by kind."),
		restated:   gauge("restated_usd", "Money that the last run's releases restated or retracted: the sum of absolute deltas, approximate."),
		quarantine: gauge("quarantine_records", "Open records in quarantine at the checkpoint of the last run."),
		held:       gauge("quarantine_readable_usd", "Readable money of them, approximate."),
		lateDays:   by("late_days", "reason", "Due days, tenants added up, whose number is not published with all of its input, by reason."),
		lateness:   gauge("worst_lateness_seconds", "Longest time from a cutoff to the end of the last run, of the days that it released first or left late; 0: none."),
		covered:    gauge("complete_through_timestamp_seconds", "The newest cutoff up to which the due days of every tenant are published with all of their input; 0: no release."),
		days:       by("days", "completeness", "Due days in the newest releases, tenants added up, by completeness."),
		holds:      gauge("tenants_on_hold", "Tenants on hold after a rollback."),
		releases:   gauge("releases", "Releases that are on disk, tenants added up."),
		bytes:      gauge("release_bytes", "Bytes of their Parquet files, each counted once."),
		newest:     gauge("newest_release_own_bytes", "Bytes of these files that only the newest releases hold: the disk use of one more release."),
	}
}

// finish sets the metrics of a run. It may be called again for the next run.
func (m *metrics) finish(now time.Time, took time.Duration, r *Report, err error) {
	m.ended.Set(seconds(now))
	m.took.Set(took.Seconds())
	m.failed.Set(0)
	if err != nil {
		m.failed.Set(1)
	}
	m.behind.Set(float64(len(r.Behind)))
	for _, o := range []Outcome{Published, NothingNew, DryRun, Failed} {
		m.tenants.WithLabelValues(string(o)).Set(0)
	}
	for _, g := range gateNames {
		m.gates.WithLabelValues(g).Set(0)
	}
	var sum lake.ChangeSummary
	accounts := 0
	for i := range r.Tenants {
		t := &r.Tenants[i]
		m.tenants.WithLabelValues(string(t.Outcome)).Inc()
		accounts += t.Accounts
		for _, g := range t.Gates {
			if !g.Passed {
				m.gates.WithLabelValues(g.Gate).Inc()
			}
		}
		if t.Outcome == Published {
			addChanges(&sum, &t.Changes)
		}
	}
	m.accounts.Set(float64(accounts))
	m.changes.WithLabelValues(string(lake.ChangeNew)).Set(float64(sum.New))
	m.changes.WithLabelValues(string(lake.ChangeRestated)).Set(float64(sum.Restated))
	m.changes.WithLabelValues(string(lake.ChangeRetracted)).Set(float64(sum.Retracted))
	m.changes.WithLabelValues(string(lake.ChangeCompleteness)).Set(float64(sum.Completeness))
	m.restated.Set(sum.RestatedAbs.Approximate())
}

// addChanges adds the counts and the restated money of b to a.
func addChanges(a, b *lake.ChangeSummary) {
	a.New += b.New
	a.Restated += b.Restated
	a.Retracted += b.Retracted
	a.Completeness += b.Completeness
	if sum, ok := a.RestatedAbs.Add(b.RestatedAbs); ok {
		a.RestatedAbs = sum
	}
}

// setQuarantine sets the metrics of the quarantine at a checkpoint.
func (m *metrics) setQuarantine(counts map[billing.TenantID][]lake.QuarantineCount) {
	records, money := int64(0), billing.Money{}
	for _, list := range counts {
		for i := range list {
			records += list[i].Records
			if sum, ok := money.Add(list[i].Readable); ok {
				money = sum
			}
		}
	}
	m.quarantine.Set(float64(records))
	m.held.Set(money.Approximate())
}

// setReleaseStats sets the metrics of the lake after a run.
func (m *metrics) setReleaseStats(s *releaseStats) {
	m.lateDays.WithLabelValues(lateUnreleased).Set(float64(s.unreleased))
	m.lateDays.WithLabelValues(lateBehind).Set(float64(s.behind))
	m.lateness.Set(s.worst.Seconds())
	m.covered.Set(seconds(s.covered))
	m.days.WithLabelValues(inspect.Complete).Set(float64(s.complete))
	m.days.WithLabelValues(inspect.Incomplete).Set(float64(s.incomplete))
	m.days.WithLabelValues(inspect.ReasonNoEvents).Set(float64(s.noEvents))
	m.holds.Set(float64(s.holds))
	m.releases.Set(float64(s.releases))
	m.bytes.Set(float64(s.bytes))
	m.newest.Set(float64(s.newest))
}

// seconds is Unix time in seconds; 0 for the zero time.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1e3
}
