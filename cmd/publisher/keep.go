package main

import (
	"errors"
	"fmt"

	"daybook/internal/cli"
)

type keepCommand struct {
	tenantFlags `embed:""`
	Release     int    `arg:"" help:"The release to keep."`
	Label       string `help:"Its label, e.g. 2025-01-close; an empty one lifts the label." required:"" placeholder:"LABEL"`
}

// Run labels a release.
func (cmd *keepCommand) Run(c *cli.Context) (err error) {
	l, tenant, err := cmd.one(c)
	if err != nil {
		return err
	}
	series := l.Tenant(tenant)
	unlock, err := series.Lock()
	if err != nil {
		return exit(err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err := series.Keep(cmd.Release, cmd.Label); err != nil {
		return exit(err)
	}
	if cmd.Label == "" {
		fmt.Fprintf(c.Stdout, "%s: release %d may be pruned again\n", tenant, cmd.Release)
	} else {
		fmt.Fprintf(c.Stdout, "%s: release %d is kept as %q\n", tenant, cmd.Release, cmd.Label)
	}
	return nil
}
