package deploy

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// alertingRules are the rules of alerts.yml, which Prometheus's parser has found no fault with.
func alertingRules(t *testing.T) []rulefmt.Rule {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "prometheus/alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	groups, faults := rulefmt.Parse(text, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	var all []rulefmt.Rule
	for _, g := range groups.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// exported are the names of all series that docs/metrics.md lists; a test of the programs holds
// that page against their registries.
func exported(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{"up": true, "process_resident_memory_bytes": true}
	for _, m := range regexp.MustCompile("(?m)^\\| `(daybook_[a-z0-9_]+)` \\| ([a-z]+) \\|").FindAllStringSubmatch(string(text), -1) {
		if m[2] == "histogram" {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				names[m[1]+suffix] = true
			}
			continue
		}
		names[m[1]] = true
	}
	if len(names) < 40 {
		t.Fatalf("docs/metrics.md lists %d series", len(names))
	}
	return names
}

// used are the names of the series that an expression selects.
func used(t *testing.T, where, expr string) []string {
	t.Helper()
	// A dashboard's variables stand for what they will be replaced with.
	expr = strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h", "$instance", ".*").Replace(expr)
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		t.Errorf("%s: %s: %v", where, expr, err)
		return nil
	}
	var names []string
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		if v, ok := node.(*parser.VectorSelector); ok {
			for _, m := range v.LabelMatchers {
				if m.Name == model.MetricNameLabel {
					names = append(names, m.Value)
				}
			}
		}
		return nil
	})
	if len(names) == 0 {
		t.Errorf("%s: %s selects no series", where, expr)
	}
	return names
}

// dashboard is what the checks need of a Grafana dashboard.
type dashboard struct {
	Title  string  `json:"title"`
	UID    string  `json:"uid"`
	Panels []panel `json:"panels"`
}

type panel struct {
	ID      int                      `json:"id"`
	Type    string                   `json:"type"`
	Title   string                   `json:"title"`
	Place   struct{ X, Y, W, H int } `json:"gridPos"`
	Targets []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "grafana/dashboards/daybook.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestAlertsAndDashboardUseWhatIsExported: every series that a rule or a panel asks for is one that
// the programs export.
func TestAlertsAndDashboardUseWhatIsExported(t *testing.T) {
	there := exported(t)
	check := func(where, expr string) {
		for _, name := range used(t, where, expr) {
			if !there[name] {
				t.Errorf("%s asks for %s, which nothing exports", where, name)
			}
		}
	}
	for _, r := range alertingRules(t) {
		check("alert "+r.Alert, r.Expr)
		for _, name := range []string{"summary", "action"} {
			if r.Annotations[name] == "" {
				t.Errorf("alert %s has no annotation %s", r.Alert, name)
			}
		}
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("alert %s has severity %q", r.Alert, s)
		}
	}
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			check("panel "+p.Title, target.Expr)
		}
	}
}

// TestDashboardIsWhole: panels have ids of their own, a title and a query, and do not overlap.
func TestDashboardIsWhole(t *testing.T) {
	d := readDashboard(t)
	if d.Title == "" || d.UID == "" || len(d.Panels) < 10 {
		t.Fatalf("dashboard %q (%q) has %d panels", d.Title, d.UID, len(d.Panels))
	}
	ids := map[int]bool{}
	for i, p := range d.Panels {
		if ids[p.ID] || p.Title == "" || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %d: id %d (taken: %v), title %q, %d queries", i, p.ID, ids[p.ID], p.Title, len(p.Targets))
		}
		ids[p.ID] = true
		a := p.Place
		if a.X < 0 || a.W < 1 || a.H < 1 || a.X+a.W > 24 {
			t.Errorf("panel %q is at %+v, the grid is 24 wide", p.Title, a)
		}
		for _, q := range d.Panels[:i] {
			b := q.Place
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("panels %q and %q overlap", p.Title, q.Title)
			}
		}
	}
}
