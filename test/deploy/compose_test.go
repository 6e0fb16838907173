package deploy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/prometheus/prometheus/config"
)

// load reads the Compose file as Docker Compose and Podman Compose do, schema and all.
func load(t *testing.T, profiles ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(folder, "redpanda/compose.yml")},
		cli.WithProfiles(profiles), cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	p, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestComposeFile: the stack is one that Compose accepts, and it is as strict as the docs say.
func TestComposeFile(t *testing.T) {
	p := load(t, "setup")
	if want := []string{"grafana", "ingest", "init", "prometheus", "publisher", "redpanda", "topic"}; !slices.Equal(p.ServiceNames(), want) {
		t.Fatalf("services %q, want %q", p.ServiceNames(), want)
	}
	if _, there := load(t).Services["init"]; there {
		t.Error("`up` would make a state: an unmounted volume would start an empty book")
	}
	for name, s := range p.Services {
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s listens on %q", name, port.HostIP)
			}
		}
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeBind {
				if _, err := os.Stat(v.Source); err != nil || !v.ReadOnly {
					t.Errorf("%s mounts %s, read-only %v: %v", name, v.Source, v.ReadOnly, err)
				}
			}
		}
		if s.Build != nil {
			if !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
				t.Errorf("%s is not confined", name)
			}
			if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if !strings.Contains(strings.Join(p.Services["topic"].Command, " "), "retention.ms=-1") {
		t.Error("the topic forgets")
	}
}

// TestPrometheusConfig: Prometheus accepts its configuration, and scrapes the services of the stack.
func TestPrometheusConfig(t *testing.T) {
	file := filepath.Join(folder, "redpanda/prometheus.yml")
	c, err := config.LoadFile(file, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := load(t)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ingest", "publisher"} {
		s := p.Services[name]
		listens := s.Environment["DAYBOOK_MONITOR"]
		if name == "publisher" {
			listens = s.Environment["DAYBOOK_PUBLISHER_MONITOR"]
		}
		if listens == nil || !strings.Contains(string(text), name+strings.TrimPrefix(*listens, "0.0.0.0")) {
			t.Errorf("%s is not scraped where it listens", name)
		}
	}
	if len(c.ScrapeConfigs) != 2 || len(c.RuleFiles) != 1 {
		t.Errorf("%d jobs, %d rule files", len(c.ScrapeConfigs), len(c.RuleFiles))
	}
}
