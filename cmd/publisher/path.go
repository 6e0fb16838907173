package main

import (
	"fmt"
	"os"

	"daybook/internal/billing"
	"daybook/internal/cli"
	"daybook/internal/lake"
)

type pathCommand struct {
	tenantFlags `embed:""`
	Release     int  `help:"The release; default the newest." placeholder:"N"`
	DuckDB      bool `name:"duckdb" help:"Print CREATE VIEW lines for DuckDB instead."`
	JSON        bool `name:"json" help:"Print as JSON." xor:"form"`
}

// Run prints the path of a release.
func (cmd *pathCommand) Run(c *cli.Context) error {
	l, tenant, err := cmd.one(c)
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
		_, err = fmt.Fprint(c.Stdout, lake.DuckDBViews(dir))
		return err
	}
	_, err = fmt.Fprintln(c.Stdout, dir)
	return err
}

// place returns the path of release n, or of the newest if n is 0.
func place(l *lake.Lake, t billing.TenantID, n int) (int, string, error) {
	s := l.Tenant(t)
	if n == 0 {
		return s.Resolve()
	}
	dir := s.Dir(n)
	if _, err := os.Stat(dir); err != nil {
		return 0, "", fmt.Errorf("release %d of tenant %s: %w: it was never made, or is pruned", n, t, lake.ErrNoRelease)
	}
	return n, dir, nil
}
