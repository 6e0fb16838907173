package main

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"daybook/internal/cli"
	"daybook/internal/monitor"
	"daybook/internal/publish"
)

type followCommand struct {
	stateFlags     `embed:""`
	lakeFlags      `embed:""`
	publish.Config `embed:""`
	// Kong reads the one tag, and looks for Validate by the other. Not ready: the last run failed.
	Serve monitor.Config `embed:"" kong:"embed,set='monitor=127.0.0.1:9465',set='monitor_env=DAYBOOK_PUBLISHER_MONITOR'"`
}

// Run publishes at every cutoff until SIGTERM.
func (f *followCommand) Run(c *cli.Context) error {
	if !f.AsOf.IsZero() || f.DryRun {
		return cli.Usagef("follow publishes as of now: leave --as-of and --dry-run to run")
	}
	source, err := f.source(c)
	if err != nil {
		return err
	}
	lake, err := f.open(c)
	if err != nil {
		return err
	}
	registry := monitor.NewRegistry()
	p := publish.New(f.Config, publish.Deps{Source: source, Lake: lake, Now: c.Now, Log: c.Log, Metrics: registry})
	var problem atomic.Value
	problem.Store("no run has ended yet")
	server, err := monitor.Listen(f.Serve, registry, func() string { return problem.Load().(string) }, c.Log)
	if err != nil {
		return err
	}
	// A signal stops the runs, and then the server. A failure of the server stops both.
	work, serving := errgroup.WithContext(context.WithoutCancel(c))
	running, cancel := context.WithCancel(c)
	defer cancel()
	defer context.AfterFunc(serving, cancel)()
	ended, end := context.WithCancel(serving)
	work.Go(func() error { return server.Run(ended) })
	work.Go(func() error {
		defer end()
		p.Follow(running, func(report publish.Report, err error) {
			state := ""
			if err := finish(c, report, explain(err), false); err != nil {
				c.Log.Error("failed to publish", "err", err, "exit_code", cli.ExitCode(err))
				state = "the last run failed: " + err.Error()
			}
			problem.Store(state)
		})
		return nil
	})
	return work.Wait()
}
