package main

import (
	"fmt"
	"os/user"

	"daybook/internal/cli"
)

type rollbackCommand struct {
	tenantFlags `embed:""`
	Release     int  `arg:"" help:"The release whose content is to be current again."`
	JSON        bool `name:"json" help:"Print as JSON."`
}

// Run rolls a tenant back and puts it on hold.
func (cmd *rollbackCommand) Run(c *cli.Context) error {
	p, tenant, err := cmd.publisher(c)
	if err != nil {
		return err
	}
	m, err := p.Rollback(c, tenant, cmd.Release, whoami())
	if err != nil {
		return exit(err)
	}
	if cmd.JSON {
		return cli.JSON(c.Stdout, map[string]any{"tenant_id": tenant, "release": m.Release, "rolled_back_from": m.RolledBackFrom, "rolled_back_to": m.RolledBackTo, "changes": m.Changes})
	}
	fmt.Fprintf(c.Stdout, "%s: release %d has the content of release %d; net change %s USD. On hold until `publisher resume`.\n", tenant, m.Release, m.RolledBackTo, c.Amount(m.Changes.Delta))
	return nil
}

// whoami returns the name of the operating system's user, for the record.
func whoami() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}
