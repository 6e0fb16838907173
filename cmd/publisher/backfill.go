package main

import (
	"daybook/internal/billing"
	"daybook/internal/cli"
	"daybook/internal/publish"
)

type backfillCommand struct {
	stateFlags     `embed:""`
	lakeFlags      `embed:""`
	publish.Config `embed:""`
	Metrics        metricsFlags `embed:""`
	From           day          `help:"First usage date of the window." required:"" placeholder:"YYYY-MM-DD"`
	To             day          `help:"Last usage date of the window." required:"" placeholder:"YYYY-MM-DD"`
	Repair         bool         `help:"Publish account-days that differ although nothing changed them, instead of failing with exit code 4."`
	JSON           bool         `name:"json" help:"Print the report as JSON."`
}

// day is a usage date on the command line.
type day struct{ billing.Day }

// Run recomputes the window.
func (b *backfillCommand) Run(c *cli.Context) error {
	p, done, err := newPublisher(c, b.Config, &b.stateFlags, &b.lakeFlags, &b.Metrics)
	if err != nil {
		return err
	}
	report, err := p.Backfill(c, publish.Window{From: b.From.Day, To: b.To.Day}, b.Repair)
	done()
	return finish(c, report, explain(err), b.JSON)
}
