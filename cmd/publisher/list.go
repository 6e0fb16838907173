package main

import (
	"fmt"
	"time"

	"daybook/internal/billing"
	"daybook/internal/cli"
	"daybook/internal/lake"
)

type listCommand struct {
	tenantFlags `embed:""`
	JSON        bool `name:"json" help:"Print as JSON."`
}

// listed is one row of the list.
type listed struct {
	Release  int                `json:"release"`
	AsOf     time.Time          `json:"as_of"`
	Current  bool               `json:"current"`
	Pruned   bool               `json:"pruned"`
	Label    string             `json:"label,omitempty"`
	Days     int                `json:"days"`
	Total    billing.Money      `json:"total_usd"`
	Changes  lake.ChangeSummary `json:"changes"`
	Bytes    int64              `json:"bytes"`
	OwnBytes int64              `json:"own_bytes"`
	RolledTo int                `json:"rolled_back_to,omitempty"`
}

// Run lists the releases.
func (cmd *listCommand) Run(c *cli.Context) error {
	l, tenant, err := cmd.one(c)
	if err != nil {
		return err
	}
	series := l.Tenant(tenant)
	entries, err := series.List()
	if err != nil {
		return exit(err)
	}
	all := make([]listed, 0, len(entries))
	for _, e := range entries {
		m, err := series.Manifest(e.Release)
		if err != nil {
			return exit(err)
		}
		one := listed{
			Release: e.Release, AsOf: m.AsOf, Current: e.Current, Pruned: e.Pruned, Label: e.Label,
			Changes: m.Changes, Bytes: e.Bytes, OwnBytes: e.Own, RolledTo: m.RolledBackTo,
		}
		for i := range m.Days {
			if m.Days[i].AccountDays > 0 {
				one.Days++
			}
			// The sum is in range: the gate ledger_reconciles has computed it too.
			one.Total, _ = one.Total.Add(m.Days[i].Total)
		}
		all = append(all, one)
	}
	if cmd.JSON {
		return cli.JSON(c.Stdout, all)
	}
	rows := make([][]string, 0, len(all))
	for _, r := range all {
		note := r.Label
		switch {
		case r.Current:
			note = "current " + note
		case r.Pruned:
			note = "pruned " + note
		}
		if r.RolledTo != 0 {
			note += fmt.Sprintf(" rolled back to %d", r.RolledTo)
		}
		rows = append(rows, []string{
			fmt.Sprint(r.Release), r.AsOf.UTC().Format(time.RFC3339), fmt.Sprint(r.Days), c.Amount(r.Total),
			cli.Count(r.Changes.New), cli.Count(r.Changes.Restated), cli.Count(r.Changes.Retracted), cli.Count(r.Changes.Completeness),
			cli.Count(r.OwnBytes), note,
		})
	}
	return cli.Table(c.Stdout, []string{">release", "as_of", ">days", ">total_usd", ">new", ">restated", ">retracted", ">completeness", ">own_bytes", "note"}, rows)
}
