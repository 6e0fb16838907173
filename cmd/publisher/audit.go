package main

import (
	"errors"
	"fmt"

	"daybook/internal/audit"
	"daybook/internal/cli"
	"daybook/internal/kafka"
)

type auditCommand struct {
	tenantFlags  `embed:""`
	audit.Config `embed:""`
	Kafka        kafka.Config `embed:""`
	JSON         bool         `name:"json" help:"Print the report as JSON."`
}

// Run audits a release.
func (cmd *auditCommand) Run(c *cli.Context) error {
	l, tenant, err := cmd.one(c)
	if err != nil {
		return err
	}
	stage, bar := "", (*cli.Progress)(nil)
	defer func() {
		if bar != nil {
			bar.Close()
		}
	}()
	topic := &audit.Kafka{Config: cmd.Kafka, IdleTimeout: cmd.IdleTimeout, Log: c.Log}
	report, err := audit.New(cmd.Config, tenant, audit.Deps{
		Lake: l, Read: topic.Read,
		Progress: func(now string, done, total int64) {
			if now != stage {
				if bar != nil {
					bar.Close()
				}
				stage, bar = now, c.NewProgress("audit", now, total)
			}
			bar.Set(done, total)
		},
	}).Audit(c)
	if bar != nil {
		bar.Close()
	}
	if err != nil {
		return exit(err)
	}
	err = exit(report.Err())
	if cmd.JSON {
		return errors.Join(err, cli.JSON(c.Stdout, report))
	}
	return errors.Join(err, printAudit(c, report))
}

// printAudit prints what an audit found.
func printAudit(c *cli.Context, r *audit.Report) error {
	fmt.Fprintf(c.Stdout, "%s, release %d, rebuilt from %s records: %s days, %s account-days, %s service-days, %s events; total %s USD\n",
		r.Tenant, r.Release, cli.Count(r.Records), cli.Count(int64(r.Days)), cli.Count(r.AccountDays), cli.Count(r.ServiceDays), cli.Count(r.Events), r.Total)
	if r.Withheld > 0 {
		fmt.Fprintf(c.Stdout, "%s records in quarantine keep account-days incomplete\n", cli.Count(r.Withheld))
	}
	if r.Missing > 0 {
		fmt.Fprintf(c.Stdout, "%s offsets have no record: the topic is transactional or compacted\n", cli.Count(r.Missing))
	}
	for i := range r.Explained {
		if err := printExplanation(c, &r.Explained[i]); err != nil {
			return err
		}
	}
	if r.Differing == 0 {
		fmt.Fprintln(c.Stdout, "every cell is equal")
		return nil
	}
	rows := make([][]string, 0, len(r.Differences))
	for _, d := range r.Differences {
		rows = append(rows, []string{d.Dataset, d.Day, d.Account, d.Service, d.Event, d.What, d.Column, d.Audited, d.Released})
	}
	header := []string{"dataset", "usage_date", "account_id", "service_name", "event_id", "what", "column", ">audited", ">released"}
	if err := cli.Table(c.Stdout, header, rows); err != nil {
		return err
	}
	if more := r.Differing - int64(len(r.Differences)); more > 0 {
		fmt.Fprintf(c.Stdout, "and %s more; --limit 0 prints all\n", cli.Count(more))
	}
	return nil
}

// printExplanation prints the records behind an account-day.
func printExplanation(c *cli.Context, x *audit.Explanation) error {
	rows := make([][]string, 0, len(x.Events)+len(x.Withheld))
	for _, list := range [][]audit.ExplainedEvent{x.Events, x.Withheld} {
		for _, e := range list {
			rows = append(rows, []string{
				fmt.Sprintf("%s/%d/%d", e.Topic, e.Partition, e.Offset), e.Event, e.Service, e.Cost, e.IngestedAt, e.Fault,
			})
		}
	}
	if err := cli.Table(c.Stdout, []string{"record", "event_id", "service_name", ">cost_usd", "ingested_at", "withheld"}, rows); err != nil {
		return err
	}
	rows = [][]string{{x.Day, x.Account, x.Total, fmt.Sprint(len(x.Events)), fmt.Sprint(x.Complete)}}
	return cli.Table(c.Stdout, []string{"usage_date", "account_id", ">total_cost_usd", ">event_count", "data_complete"}, rows)
}
