package main

import (
	"fmt"

	"daybook/internal/cli"
)

type pathCommand struct {
	lakeFlags  `embed:""`
	tenantFlag `embed:""`
	Release    int  `help:"The release; default the newest." placeholder:"N"`
	DuckDB     bool `name:"duckdb" help:"Print CREATE VIEW lines for DuckDB instead."`
	JSON       bool `name:"json" help:"Print as JSON." xor:"form"`
}

// Run prints where a release lies.
func (cmd *pathCommand) Run(c *cli.Context) error {
	l, err := cmd.open(c)
	if err != nil {
		return err
	}
	tenant, err := cmd.pick(l)
	if err != nil {
		return err
	}
	n, dir, err := place(l, tenant, cmd.Release)
	if err != nil {
		return exit(err)
	}
	switch {
	case cmd.JSON:
		return cli.JSON(c.Stdout, map[string]any{"tenant_id": tenant, "release": n, "path": dir})
	case cmd.DuckDB:
		m, err := l.Tenant(tenant).Manifest(n)
		if err != nil {
			return exit(err)
		}
		_, err = fmt.Fprint(c.Stdout, duckDBViews(dir, m))
		return err
	}
	_, err = fmt.Fprintln(c.Stdout, dir)
	return err
}
