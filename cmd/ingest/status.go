package main

import (
	"fmt"
	"strconv"
	"time"

	"daybook/internal/cli"
	"daybook/internal/control"
)

type statusCommand struct {
	stateFlag
	JSON bool `name:"json" help:"Print JSON."`
}

// Run prints the report, a running ingest's own if there is one.
func (s *statusCommand) Run(c *cli.Context) error {
	status, err := stateDir(c, s.State).Status(c)
	if err != nil {
		return exit(err)
	}
	if s.JSON {
		return cli.JSON(c.Stdout, status)
	}
	return printStatus(c, &status)
}

// printStatus prints the report for a person.
func printStatus(c *cli.Context, s *control.Status) error {
	out := c.Stdout
	fmt.Fprintf(out, "state %s of cluster %s at sequence %d\n", s.Database, s.Cluster, s.Sequence)
	switch {
	case !s.Running:
		fmt.Fprintln(out, "no ingest runs on it")
	case s.Ready:
		fmt.Fprintf(out, "ingest runs (process %d) and consumes\n", s.PID)
	default:
		fmt.Fprintf(out, "ingest runs (process %d) and does not consume: %s\n", s.PID, s.NotReady)
	}
	for _, w := range s.Warnings {
		fmt.Fprintf(out, "warning: %s\n", w)
	}
	fmt.Fprintf(out, "%d decisions\n\n", s.Decisions)

	rows := make([][]string, 0, len(s.Partitions))
	for _, p := range s.Partitions {
		rows = append(rows, []string{
			p.Topic, strconv.Itoa(int(p.Partition)), strconv.FormatInt(p.NextOffset, 10), known(p.LagRecords),
			moment(p.CaughtUpAt), p.Reason, strconv.FormatInt(p.Delivered, 10), strconv.FormatInt(p.Outcomes["quarantined"], 10),
		})
	}
	if err := cli.Table(out, []string{"TOPIC", ">PARTITION", ">NEXT OFFSET", ">LAG", "CAUGHT UP AT", "BLOCKED BY", ">DELIVERED", ">QUARANTINED"}, rows); err != nil {
		return err
	}

	fmt.Fprintln(out)
	rows = rows[:0]
	for _, t := range s.Tenants {
		age := "-"
		if t.Dirty > 0 {
			age = (time.Duration(t.OldestDirtyAge) * time.Second).String()
		}
		rows = append(rows, []string{string(t.Tenant), strconv.FormatInt(t.AccountDays, 10), strconv.FormatInt(t.Dirty, 10), age, strconv.FormatUint(uint64(t.CoveredSequence), 10)})
	}
	if err := cli.Table(out, []string{"TENANT", ">ACCOUNT-DAYS", ">DIRTY", ">OLDEST DIRTY", ">COVERED SEQUENCE"}, rows); err != nil {
		return err
	}

	fmt.Fprintln(out)
	rows = rows[:0]
	for _, q := range s.Quarantine {
		rows = append(rows, []string{string(q.Tenant), string(q.Reason), string(q.Status), strconv.FormatInt(q.Records, 10), c.Amount(q.Cost), strconv.FormatInt(q.CostRecords, 10)})
	}
	if len(rows) == 0 {
		fmt.Fprintln(out, "nothing in quarantine")
		return nil
	}
	return cli.Table(out, []string{"TENANT", "REASON", "STATUS", ">RECORDS", ">PARSED AMOUNT USD", ">WITH AMOUNT"}, rows)
}

// known is a number, or "-" for -1.
func known(n int64) string {
	if n < 0 {
		return "-"
	}
	return strconv.FormatInt(n, 10)
}

// moment is a time in UTC, or "never".
func moment(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}
