package ingest

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"daybook/internal/billing"
)

// TestMetricsHaveEveryReason: the count of a reason that no record has been rejected for is 0, not absent, so that an
// alert sees its first increase.
func TestMetricsHaveEveryReason(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	newMetrics(reg)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "daybook_ingest_rejected_records_total" {
			if got, want := len(f.GetMetric()), len(billing.Reasons()); got != want {
				t.Errorf("%d reasons, want %d", got, want)
			}
			return
		}
	}
	t.Error("the metric is absent")
}
