package main

import (
	"errors"
	"fmt"

	"daybook/internal/billing"
	"daybook/internal/cli"
	"daybook/internal/publish"
)

type verifyCommand struct {
	stateFlags `embed:""`
	lakeFlags  `embed:""`
	Tenants    []billing.TenantID `name:"tenant" help:"Only this tenant (repeatable)." placeholder:"TENANT"`
	JSON       bool               `name:"json" help:"Print the findings as JSON."`
}

// verifyResult is a tenant's findings with its exit code.
type verifyResult struct {
	publish.Verification
	ExitCode int    `json:"exit_code"`
	Error    string `json:"error,omitempty"`
}

// Run recomputes everything released.
func (v *verifyCommand) Run(c *cli.Context) error {
	cfg := publish.DefaultConfig()
	cfg.Tenants = v.Tenants
	p, done, err := newPublisher(c, cfg, &v.stateFlags, &v.lakeFlags, &metricsFlags{})
	if err != nil {
		return err
	}
	all, err := p.Verify(c)
	done()
	err = exit(explain(err))
	results := []verifyResult{}
	for _, one := range all {
		r := verifyResult{Verification: one, ExitCode: gravest(one.Err)}
		if one.Err != nil {
			r.Error = one.Err.Error()
		}
		results = append(results, r)
	}
	if v.JSON {
		return errors.Join(err, cli.JSON(c.Stdout, results))
	}
	for _, r := range results {
		fmt.Fprintf(c.Stdout, "%s: release %d: %s files read, %s account-days and %s events equal to the state, %s changed since\n",
			r.Tenant, r.Release, cli.Count(int64(r.Files)), cli.Count(int64(r.Accounts)), cli.Count(r.Events), cli.Count(int64(r.Skipped)))
		for _, line := range r.Differ {
			fmt.Fprintln(c.Stdout, "  differs: "+line)
		}
	}
	return err
}
