package headline

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"daybook/internal/billing"
	"daybook/internal/ingest"
	"daybook/internal/publish"
	"daybook/internal/state"
)

// recorder is a registerer that keeps what is registered with it.
type recorder struct {
	*prometheus.Registry
	collectors []prometheus.Collector
}

func (r *recorder) Register(c prometheus.Collector) error {
	r.collectors = append(r.collectors, c)
	return r.Registry.Register(c)
}

func (r *recorder) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := r.Register(c); err != nil {
			panic(err)
		}
	}
}

// description is what a Desc says of itself.
var description = regexp.MustCompile(`fqName: "([^"]+)", help: "([^"]+)", unit: "[^"]*", constLabels: \{\}, variableLabels: \{([^}]*)\}`)

// exported are the rows of docs/metrics.md that the recorded collectors ask for: name, type and labels.
func (r *recorder) exported(t *testing.T) []string {
	t.Helper()
	var rows []string
	for _, c := range r.collectors {
		types := typesOf(t, c)
		ch := make(chan *prometheus.Desc, 100)
		c.Describe(ch)
		close(ch)
		for desc := range ch {
			m := description.FindStringSubmatch(desc.String())
			if m == nil {
				t.Fatalf("cannot read %s", desc)
			}
			kind := types[desc.String()]
			if kind == "" {
				kind = types[""]
			}
			var labels []string
			if m[3] != "" {
				for _, l := range strings.Split(m[3], ",") {
					labels = append(labels, "`"+l+"`")
				}
			}
			rows = append(rows, strings.Join([]string{"`" + m[1] + "`", kind, strings.Join(labels, ", ")}, " | "))
		}
	}
	return rows
}

// typesOf are the types of a collector's metrics by description; under "" that of a vector's.
func typesOf(t *testing.T, c prometheus.Collector) map[string]string {
	t.Helper()
	switch c.(type) {
	case *prometheus.CounterVec:
		return map[string]string{"": "counter"}
	case *prometheus.GaugeVec:
		return map[string]string{"": "gauge"}
	case *prometheus.HistogramVec:
		return map[string]string{"": "histogram"}
	}
	types := map[string]string{}
	ch := make(chan prometheus.Metric, 100)
	c.Collect(ch)
	close(ch)
	for m := range ch {
		var d dto.Metric
		if err := m.Write(&d); err != nil {
			t.Fatal(err)
		}
		switch {
		case d.Counter != nil:
			types[m.Desc().String()] = "counter"
		case d.Gauge != nil:
			types[m.Desc().String()] = "gauge"
		case d.Histogram != nil:
			types[m.Desc().String()] = "histogram"
		}
	}
	return types
}

// TestDocsListEveryMetric holds docs/metrics.md against what the programs register.
func TestDocsListEveryMetric(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	identity := state.Identity{Cluster: "c", Topics: []state.Topic{{Name: "billing"}}, Rules: billing.DefaultRules()}
	if err := state.Create(dir, identity, state.Options{}); err != nil {
		t.Fatal(err)
	}
	r := &recorder{Registry: prometheus.NewRegistry()}
	cfg := ingest.Config{State: dir, Tuning: ingest.DefaultTuning()}
	cfg.Kafka.Brokers = []string{"127.0.0.1:1"} // never talked to
	g, err := ingest.New(cfg, ingest.RulesConfig{}, ingest.RunOptions{}, ingest.Deps{Metrics: r})
	if err != nil {
		t.Fatal(err)
	}
	publish.New(publish.DefaultConfig(), publish.Deps{Metrics: r})
	exported := r.exported(t)
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}

	text, err := os.ReadFile(filepath.Join(root, "docs/metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| (`daybook_[a-z0-9_]+`) \\| ([a-z]+) \\| ([^|]*) \\| ([^|]+) \\| ([^|]+) \\|$").FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, strings.Join([]string{m[1], m[2], strings.TrimSpace(m[3])}, " | "))
	}
	for _, row := range exported {
		if !slices.Contains(documented, row) {
			t.Errorf("docs/metrics.md has no row | %s |", row)
		}
	}
	for _, row := range documented {
		if !slices.Contains(exported, row) {
			t.Errorf("docs/metrics.md describes what nothing exports: | %s |", row)
		}
	}
	if len(exported) < 40 || len(documented) != len(exported) {
		t.Errorf("%d metrics exported, %d documented", len(exported), len(documented))
	}
}
