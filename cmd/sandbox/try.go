package main

import (
	"daybook/internal/cli"
	"daybook/internal/ingest"
	"daybook/internal/produce"
	"daybook/internal/sandbox"
)

type tryCommand struct {
	Files []string           `arg:"" help:"The bill: AWS CUR, FOCUS, CSV or JSON lines, plain or gzip." type:"path"`
	Dir   string             `help:"Directory for everything, empty or new. Default: a new one among the temporary files." type:"path" placeholder:"DIR"`
	Load  produce.Config     `embed:""`
	Rules ingest.RulesConfig `embed:""`
}

// Run puts the bill through the whole path.
func (t *tryCommand) Run(c *cli.Context) error {
	var bar *cli.Progress
	var step string
	done := func() {
		if bar != nil {
			bar.Close()
		}
	}
	trial := sandbox.Trial{
		Files: t.Files, Load: t.Load, Rules: t.Rules, Dir: t.Dir,
		Out: c.Stdout, Errors: c.Stderr, Log: quieter(c.Log),
		Progress: func(now, unit string, at, total int64) {
			if now != step {
				done()
				step, bar = now, c.NewProgress(now, unit, total)
			}
			bar.Set(at, total)
		},
	}
	defer done()
	return exit(trial.Run(c))
}
