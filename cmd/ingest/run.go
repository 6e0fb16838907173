package main

import (
	"context"
	"errors"
	"os"
	"runtime/debug"

	"golang.org/x/sync/errgroup"

	"daybook/internal/cli"
	"daybook/internal/ingest"
	"daybook/internal/monitor"
)

// gcPercent is how much the heap of a run grows, in percent, before it is collected, unless GOGC says
// otherwise. What ingest keeps (two batches, the write in the making, the filter) is large, goes
// round and has no pointers in it. So a collection costs little for what it spares: Go's own 100 would hold half
// as much memory again.
const gcPercent = 10

type runCommand struct {
	Consume ingest.Config      `embed:""`
	Rules   ingest.RulesConfig `embed:""`
	Options ingest.RunOptions  `embed:""`
	Serve   monitor.Config     `embed:""`
}

// errEnded ends the metrics server with the run.
var errEnded = errors.New("run has ended")

// Run consumes, and serves metrics until that has ended.
func (r *runCommand) Run(c *cli.Context) (err error) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	registry := monitor.NewRegistry()
	d := deps(c)
	d.Metrics = registry
	if r.Options.UntilCaughtUp {
		progress := c.NewProgress("ingest", "records", 0)
		defer progress.Close()
		d.Progress = progress.Set
	}
	g, err := ingest.New(r.Consume, r.Rules, r.Options, d)
	if err != nil {
		return exit(err)
	}
	defer func() { err = exit(errors.Join(err, g.Close())) }()
	server, err := monitor.Listen(r.Serve, registry, func() string {
		if err := g.Ready(); err != nil {
			return err.Error()
		}
		return ""
	}, c.Log)
	if err != nil {
		return err
	}
	// A signal ends the run, and its end the server; the server's failure ends both.
	work, serving := errgroup.WithContext(context.WithoutCancel(c))
	running, cancel := context.WithCancel(c)
	defer cancel()
	defer context.AfterFunc(serving, cancel)()
	work.Go(func() error { return server.Run(serving) })
	work.Go(func() error {
		if err := g.Run(running); err != nil {
			return err
		}
		return errEnded
	})
	if err := work.Wait(); !errors.Is(err, errEnded) {
		return err
	}
	return nil
}
