package main

import (
	"fmt"
	"strings"
	"time"

	"daybook/internal/cli"
	"daybook/internal/lake"
)

type showCommand struct {
	tenantFlags `embed:""`
	Release     int  `arg:"" help:"The release's number."`
	JSON        bool `name:"json" help:"Print manifest and changes as JSON."`
}

// change is one row of a release's ledger.
type change struct {
	Account string   `json:"account_id"`
	Day     string   `json:"usage_date"`
	Kind    string   `json:"kind"`
	Reasons []string `json:"reasons,omitempty"`
	Old     string   `json:"old_total_usd,omitempty"`
	New     string   `json:"new_total_usd,omitempty"`
	Delta   string   `json:"delta_usd"`
}

// Run prints the changes of a release.
func (cmd *showCommand) Run(c *cli.Context) error {
	l, tenant, err := cmd.one(c)
	if err != nil {
		return err
	}
	series := l.Tenant(tenant)
	m, err := series.Manifest(cmd.Release)
	if err != nil {
		return exit(err)
	}
	// The newest release, which is never pruned, links the ledgers of all earlier ones.
	newest, err := series.Current()
	if err != nil {
		return exit(err)
	}
	ledger, err := series.ReadChanges(newest, m.Release)
	if err != nil {
		return exit(err)
	}
	changes := make([]change, 0, len(ledger))
	for i := range ledger {
		changes = append(changes, changeOf(&ledger[i]))
	}
	if cmd.JSON {
		return cli.JSON(c.Stdout, map[string]any{"manifest": m, "changes": changes})
	}
	fmt.Fprintf(c.Stdout, "release %d of %s, as of %s, after release %d\n", m.Release, m.Tenant, m.AsOf.UTC().Format(time.RFC3339), m.Previous)
	if m.RolledBackTo != 0 {
		fmt.Fprintf(c.Stdout, "rolled back from release %d to %d\n", m.RolledBackFrom, m.RolledBackTo)
	}
	fmt.Fprintln(c.Stdout, changesText(c, &m.Changes))
	for _, g := range m.Gates {
		if !g.Passed {
			fmt.Fprintf(c.Stdout, "gate %s failed: %s\n", g.Gate, strings.Join(g.Detail, "; "))
		}
	}
	if len(changes) == 0 {
		return nil
	}
	rows := make([][]string, 0, len(changes))
	for i := range ledger {
		r, before, after := &ledger[i], "", ""
		if r.HasOld {
			before = c.Amount(r.Old)
		}
		if r.HasNew {
			after = c.Amount(r.New)
		}
		rows = append(rows, []string{
			string(r.Account), r.Day.String(), string(r.Kind), before, after, c.Amount(r.Delta), strings.Join(r.Reasons, ","),
		})
	}
	return cli.Table(c.Stdout, []string{"account_id", "usage_date", "kind", ">old_total_usd", ">new_total_usd", ">delta_usd", "reasons"}, rows)
}

// changeOf converts a ledger row for printing.
func changeOf(r *lake.ChangeRow) change {
	c := change{Account: string(r.Account), Day: r.Day.String(), Kind: string(r.Kind), Reasons: r.Reasons, Delta: r.Delta.String()}
	if r.HasOld {
		c.Old = r.Old.String()
	}
	if r.HasNew {
		c.New = r.New.String()
	}
	return c
}
