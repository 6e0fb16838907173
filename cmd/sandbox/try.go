package main

import (
	"sync"

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

// Run loads, ingests and publishes the bill.
func (t *tryCommand) Run(c *cli.Context) error {
	var mu sync.Mutex // steps report from their own goroutines
	var step string
	var bar *cli.Progress // of step; nil: none
	done := func() {
		if bar != nil {
			bar.Close()
			bar = nil
		}
	}
	trial := sandbox.Trial{
		Files: t.Files, Load: t.Load, Rules: t.Rules, Dir: t.Dir,
		Out: c.Stdout, Errors: c.Stderr, Log: quieter(c.Log), Amount: c.Amount,
		Progress: func(now, unit string, at, total int64) {
			mu.Lock()
			defer mu.Unlock()
			if now != step {
				done()
				step = now
			}
			if step == "" {
				return
			}
			if bar == nil {
				bar = c.NewProgress(step, unit, total)
			}
			bar.Set(at, total)
		},
	}
	defer done()
	return exit(trial.Run(c))
}
