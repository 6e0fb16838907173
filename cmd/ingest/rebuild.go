package main

import (
	"fmt"

	"daybook/internal/cli"
	"daybook/internal/ingest"
)

type rebuildCommand struct {
	Consume ingest.Config         `embed:""`
	Rules   ingest.RulesConfig    `embed:""`
	Options ingest.RebuildOptions `embed:""`
	JSON    bool                  `name:"json" help:"Print the differences found by --verify as JSON."`
}

// Run rebuilds the state, and prints the differences if the user asks for them.
func (r *rebuildCommand) Run(c *cli.Context) error {
	progress := c.NewProgress("rebuild", "records", 0)
	d := deps(c)
	d.Progress = progress.Set
	report, err := ingest.Rebuild(c, r.Consume, r.Rules, r.Options, d)
	progress.Close()
	if err != nil {
		return exit(err)
	}
	if r.Options.Verify {
		if err := printReport(c, r.JSON, report.Differences, "the rebuilt state equals the old one",
			"the old state stays; --force exchanges them all the same"); err != nil && !report.Exchanged {
			return exit(err)
		}
	}
	fmt.Fprintf(c.Stdout, "rebuilt from %d records; %d decisions carried over, %d dropped\n", report.Delivered, report.Carried, report.Dropped)
	return nil
}
