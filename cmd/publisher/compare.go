package main

import (
	"errors"
	"fmt"
	"os"

	"daybook/internal/cli"
	"daybook/internal/inspect"
	"daybook/internal/lake"
	"daybook/internal/publish"
)

type compareCommand struct {
	tenantFlags `embed:""`
	File        string `arg:"" help:"CSV file with a header: usage_date; account_id and service_name for finer totals; total_cost_usd, cost_usd, total_cost or billed_cost; event_count if it is to be compared." type:"existingfile"`
	Column      string `help:"The file's money column, where it has another name." placeholder:"NAME"`
	Counts      bool   `help:"Compare event_count too, where the file has it; --no-counts where its counts are of other events than its money." default:"true" negatable:""`
	Release     int    `help:"The release; default the newest." placeholder:"N"`
	From        *day   `help:"Compare only from this usage date on." placeholder:"YYYY-MM-DD"`
	To          *day   `help:"Compare only up to this usage date." placeholder:"YYYY-MM-DD"`
	JSON        bool   `name:"json" help:"Print the comparison as JSON."`
}

// Run compares and prints every differing cell.
func (cmd *compareCommand) Run(c *cli.Context) error {
	l, tenant, err := cmd.one(c)
	if err != nil {
		return err
	}
	file, err := os.Open(cmd.File)
	if err != nil {
		return err
	}
	defer file.Close()
	result, err := inspect.Compare(l.Tenant(tenant), cmd.Release, file, inspect.Columns{Money: cmd.Column, Counts: cmd.Counts}, window(cmd.From, cmd.To))
	if err != nil {
		return exit(err)
	}
	err = exit(result.Err())
	if cmd.JSON {
		return errors.Join(err, cli.JSON(c.Stdout, result))
	}
	fmt.Fprintf(c.Stdout, "%s, release %d, by %s, column %s: %s of %s rows equal, %s released; total %s USD\n",
		result.Tenant, result.Release, result.Grain, result.Column,
		cli.Count(int64(result.Equal)), cli.Count(int64(result.Expected)), cli.Count(int64(result.Released)), result.Total)
	if len(result.Differences) == 0 {
		return err
	}
	rows := make([][]string, 0, len(result.Differences))
	for _, d := range result.Differences {
		line := ""
		if d.Line > 0 {
			line = fmt.Sprint(d.Line)
		}
		rows = append(rows, []string{d.Day, d.Account, d.Service, d.What, d.Column, d.Expected, d.Released, line})
	}
	header := []string{"usage_date", "account_id", "service_name", "what", "column", ">expected", ">released", ">line"}
	return errors.Join(err, cli.Table(c.Stdout, header, rows))
}

// window is the days between two flags; nil where neither is given.
func window(from, to *day) *lake.Window {
	if from == nil && to == nil {
		return nil
	}
	w := lake.Window(publish.AllDays)
	if from != nil {
		w.From = from.Day
	}
	if to != nil {
		w.To = to.Day
	}
	return &w
}
