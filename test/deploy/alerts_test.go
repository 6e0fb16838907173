package deploy

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"gopkg.in/yaml.v3"
)

// folder is where what is deployed lies.
const folder = "../../deploy"

// ruleTests is the part of promtool's format for unit tests of rules that ours are written in.
type ruleTests struct {
	RuleFiles          []string       `yaml:"rule_files"`
	EvaluationInterval model.Duration `yaml:"evaluation_interval"`
	Tests              []ruleTest     `yaml:"tests"`
}

type ruleTest struct {
	Name     string         `yaml:"name"`
	Interval model.Duration `yaml:"interval"`
	Input    []struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	} `yaml:"input_series"`
	Alerts []alertTest `yaml:"alert_rule_test"`
}

type alertTest struct {
	At     model.Duration `yaml:"eval_time"`
	Name   string         `yaml:"alertname"`
	Expect []struct {
		Labels      map[string]string `yaml:"exp_labels"`
		Annotations map[string]string `yaml:"exp_annotations"`
	} `yaml:"exp_alerts"`
}

// readTests reads the unit tests; a field that promtool has and this does not know is an error.
func readTests(t *testing.T) ruleTests {
	t.Helper()
	file, err := os.Open(filepath.Join(folder, "prometheus/alerts_test.yml"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var tests ruleTests
	d := yaml.NewDecoder(file)
	d.KnownFields(true)
	if err := d.Decode(&tests); err != nil {
		t.Fatal(err)
	}
	return tests
}

// TestAlertRules runs the unit tests: Prometheus evaluates the rules over the series, and what fires
// must be what is expected, with its labels and annotations.
func TestAlertRules(t *testing.T) {
	tests := readTests(t)
	var files []string
	for _, name := range tests.RuleFiles {
		files = append(files, filepath.Join(folder, "prometheus", name))
	}
	fires, rests := map[string]bool{}, map[string]bool{}
	for _, test := range tests.Tests {
		t.Run(test.Name, func(t *testing.T) {
			t.Parallel()
			test.run(t, time.Duration(tests.EvaluationInterval), files)
		})
		for _, a := range test.Alerts {
			fires[a.Name] = fires[a.Name] || len(a.Expect) > 0
			rests[a.Name] = rests[a.Name] || len(a.Expect) == 0
		}
	}
	for _, rule := range alertingRules(t) {
		if !fires[rule.Alert] || !rests[rule.Alert] {
			t.Errorf("%s: tested to fire %v, not to fire %v", rule.Alert, fires[rule.Alert], rests[rule.Alert])
		}
	}
}

func (test *ruleTest) run(t *testing.T, interval time.Duration, files []string) {
	load := fmt.Sprintf("load %s\n", test.Interval)
	for _, in := range test.Input {
		load += fmt.Sprintf("  %s %s\n", in.Series, in.Values)
	}
	suite, err := promqltest.NewLazyLoader(load, promqltest.LazyLoaderOpts{EnableAtModifier: true, EnableNegativeOffset: true})
	if err != nil {
		t.Fatal(err)
	}
	defer suite.Close()
	manager := rules.NewManager(&rules.ManagerOptions{
		QueryFunc:    rules.EngineQueryFunc(suite.QueryEngine(), suite.Storage()),
		AppendableV2: suite.Storage(),
		Context:      context.Background(),
		NotifyFunc:   func(context.Context, string, ...*rules.Alert) {},
		Logger:       slog.New(slog.DiscardHandler),
		Parser:       parser.NewParser(parser.Options{}),
	})
	groups, faults := manager.LoadGroups(time.Duration(test.Interval), labels.EmptyLabels(), "", nil, false, files...)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	var alerting []*rules.AlertingRule
	for _, g := range groups {
		for _, r := range g.Rules() {
			if a, ok := r.(*rules.AlertingRule); ok {
				a.SetRestored(true) // there is nothing to restore
				alerting = append(alerting, a)
			}
		}
	}
	slices.SortStableFunc(test.Alerts, func(a, b alertTest) int { return int(a.At - b.At) })
	start := time.Unix(0, 0).UTC()
	next := 0
	for ts := start; next < len(test.Alerts); ts = ts.Add(interval) {
		suite.WithSamplesTill(ts, func(err error) {
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range groups {
				g.Eval(suite.Context(), ts)
				for _, r := range g.Rules() {
					if err := r.LastError(); err != nil {
						t.Fatalf("%s at %s: %v", r.Name(), ts.Sub(start), err)
					}
				}
			}
		})
		for ; next < len(test.Alerts) && time.Duration(test.Alerts[next].At) < ts.Add(interval).Sub(start); next++ {
			test.Alerts[next].compare(t, alerting)
		}
	}
}

// compare compares the alerts that fire now with those expected.
func (a *alertTest) compare(t *testing.T, alerting []*rules.AlertingRule) {
	t.Helper()
	var got, want []string
	for _, rule := range alerting {
		for _, active := range rule.ActiveAlerts() {
			if rule.Name() == a.Name && active.State == rules.StateFiring {
				got = append(got, shown(active.Labels.Map(), active.Annotations.Map()))
			}
		}
	}
	for _, e := range a.Expect {
		all := map[string]string{labels.AlertName: a.Name}
		maps.Copy(all, e.Labels)
		want = append(want, shown(all, e.Annotations))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s at %s fires\n  %s\nwant\n  %s", a.Name, a.At, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// shown is an alert as text.
func shown(labels, annotations map[string]string) string {
	text := ""
	for _, m := range []map[string]string{labels, annotations} {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			text += fmt.Sprintf("%s=%q ", name, m[name])
		}
	}
	return text
}
