package main

import (
	"fmt"

	"daybook/internal/cli"
)

type resumeCommand struct {
	tenantFlags `embed:""`
}

// Run lifts the hold.
func (cmd *resumeCommand) Run(c *cli.Context) error {
	p, tenant, err := cmd.publisher(c)
	if err != nil {
		return err
	}
	held, err := p.Resume(tenant)
	if err != nil {
		return exit(err)
	}
	if held {
		fmt.Fprintf(c.Stdout, "%s: the hold is lifted\n", tenant)
	} else {
		fmt.Fprintf(c.Stdout, "%s: there was no hold\n", tenant)
	}
	return nil
}
