package main

import (
	"errors"
	"fmt"
	"strings"

	"daybook/internal/billing"
	"daybook/internal/cli"
	"daybook/internal/lake"
	"daybook/internal/publish"
)

type runCommand struct {
	stateFlags     `embed:""`
	lakeFlags      `embed:""`
	publish.Config `embed:""`
	Metrics        metricsFlags `embed:""`
	JSON           bool         `name:"json" help:"Print the report as JSON."`
}

// Run publishes what is due and changed.
func (r *runCommand) Run(c *cli.Context) error {
	p, done, err := newPublisher(c, r.Config, &r.stateFlags, &r.lakeFlags, &r.Metrics)
	if err != nil {
		return err
	}
	report, err := p.Run(c)
	done()
	return finish(c, report, explain(err), r.JSON)
}

// newPublisher connects a publisher to a state, a lake and the terminal. done ends the progress and writes the metrics.
func newPublisher(c *cli.Context, cfg publish.Config, s *stateFlags, l *lakeFlags, m *metricsFlags) (p *publish.Publisher, done func(), err error) {
	source, err := s.source(c)
	if err != nil {
		return nil, nil, err
	}
	where, err := l.open(c)
	if err != nil {
		return nil, nil, err
	}
	progress := c.NewProgress("publish", "days", 0)
	deps := publish.Deps{
		Source: source, Lake: where, Now: c.Now, Log: c.Log,
		Progress: func(_ billing.TenantID, done, total int64) { progress.Set(done, total) },
	}
	registry := m.registry()
	if registry != nil && !cfg.DryRun {
		deps.Metrics = registry
	}
	return publish.New(cfg, deps), func() {
		progress.Close()
		if deps.Metrics != nil {
			m.leave(c, registry)
		}
	}, nil
}

// tenantResult is the report about a tenant with its error and exit code.
type tenantResult struct {
	publish.TenantReport
	ExitCode int    `json:"exit_code"`
	Error    string `json:"error,omitempty"`
}

// finish prints a report and returns the error with its exit code.
func finish(c *cli.Context, report publish.Report, err error, asJSON bool) error {
	results := make([]tenantResult, 0, len(report.Tenants))
	for _, t := range report.Tenants {
		r := tenantResult{TenantReport: t, ExitCode: gravest(t.Err)}
		if t.Err != nil {
			r.Error = t.Err.Error()
		}
		results = append(results, r)
	}
	if asJSON {
		message := ""
		if err != nil {
			message = err.Error()
		}
		printErr := cli.JSON(c.Stdout, map[string]any{
			"as_of": report.AsOf, "behind": report.Behind, "tenants": results, "exit_code": gravest(err), "error": message,
		})
		return errors.Join(exit(err), printErr)
	}
	for _, b := range report.Behind {
		fmt.Fprintln(c.Stdout, "behind: "+b.String())
	}
	for i := range results {
		fmt.Fprintln(c.Stdout, summary(c, &results[i].TenantReport))
		for _, line := range results[i].Differ {
			fmt.Fprintln(c.Stdout, "  differs: "+line)
		}
		for _, g := range results[i].Gates {
			for _, line := range g.Detail {
				fmt.Fprintf(c.Stdout, "  gate %s: %s\n", g.Gate, line)
			}
		}
	}
	return exit(err)
}

// summary is the result of a run for one tenant, in one line.
func summary(c *cli.Context, t *publish.TenantReport) string {
	s := fmt.Sprintf("%s: ", t.Tenant)
	switch t.Outcome {
	case publish.Published:
		s += fmt.Sprintf("release %d", t.Release)
	case publish.DryRun:
		s += "dry run, would publish"
	case publish.NothingNew:
		if t.Release == 0 {
			return s + "nothing is due"
		}
		return s + fmt.Sprintf("nothing new since release %d", t.Release)
	default:
		if t.Release == 0 {
			s += "failed, no release"
		} else {
			s += fmt.Sprintf("failed, release %d remains current", t.Release)
		}
		if t.Changes == (lake.ChangeSummary{}) {
			return s
		}
	}
	return s + fmt.Sprintf(", as of %s: %s", t.AsOf.Format("2006-01-02T15:04:05Z07:00"), changesText(c, &t.Changes))
}

// changesText is the summary of a release's changes. Kinds with a count of zero are left out.
func changesText(c *cli.Context, s *lake.ChangeSummary) string {
	var parts []string
	for _, kind := range []struct {
		n    int64
		what string
	}{{s.New, "new"}, {s.Restated, "restated"}, {s.Retracted, "retracted"}, {s.Completeness, "changed in completeness"}} {
		switch {
		case kind.n == 0:
		case parts == nil:
			parts = append(parts, cli.Plural(kind.n, "account-day")+" "+kind.what)
		default:
			parts = append(parts, cli.Count(kind.n)+" "+kind.what)
		}
	}
	if parts == nil {
		return "no account-day changed"
	}
	text := strings.Join(parts, ", ")
	if s.New+s.Restated+s.Retracted > 0 {
		text += fmt.Sprintf("; net change %s USD", c.Amount(s.Delta))
	}
	if s.Restated+s.Retracted > 0 {
		text += fmt.Sprintf(", gross restated %s USD", c.Amount(s.RestatedAbs))
	}
	return text
}
