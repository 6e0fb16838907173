package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"daybook/internal/billing"
	"daybook/internal/cli"
	"daybook/internal/inspect"
	"daybook/internal/lake"
)

type statusCommand struct {
	tenantFlags `embed:""`
	Complete    *day              `help:"Exit 0 if this usage date is released and complete, 3 if not." placeholder:"YYYY-MM-DD"`
	Account     billing.AccountID `help:"With --complete: this account's row instead of the whole day." placeholder:"ACCOUNT"`
	JSON        bool              `name:"json" help:"Print as JSON."`
}

// Run prints what is released.
func (cmd *statusCommand) Run(c *cli.Context) error {
	if cmd.Account != "" && cmd.Complete == nil {
		return cli.Usagef("--account needs --complete DAY")
	}
	l, tenant, err := cmd.one(c)
	if err != nil {
		if cmd.Complete != nil && cli.ExitCode(err) == cli.ExitError {
			return cli.Exit(cli.ExitIncomplete, err)
		}
		return err
	}
	series := l.Tenant(tenant)
	if cmd.Complete != nil {
		return cmd.complete(c, series, tenant)
	}
	m, err := series.Current()
	if err != nil {
		return exit(err)
	}
	hold, err := series.Hold()
	if err != nil {
		return exit(err)
	}
	return cmd.print(c, tenant, m, hold)
}

// complete exits 0 if the day is complete, for sensors.
func (cmd *statusCommand) complete(c *cli.Context, s *lake.Series, tenant billing.TenantID) error {
	done, err := inspect.Completeness(s, cmd.Complete.Day, cmd.Account)
	if err != nil {
		return exit(err)
	}
	var result error
	if !done.Complete {
		result = cli.Exit(cli.ExitIncomplete, fmt.Errorf("%s of %s is not complete: %s", cmd.Complete.Day, tenant, strings.Join(done.Reasons, ", ")))
	}
	if cmd.JSON {
		return errors.Join(result, cli.JSON(c.Stdout, done))
	}
	if done.Complete {
		fmt.Fprintf(c.Stdout, "%s of %s is complete in release %d\n", cmd.Complete.Day, tenant, done.Release)
	}
	return result
}

// print prints a summary of the newest release.
func (cmd *statusCommand) print(c *cli.Context, tenant billing.TenantID, m *lake.Manifest, hold *lake.Hold) error {
	if m == nil {
		return cli.Exit(cli.ExitError, fmt.Errorf("tenant %s has no release yet", tenant))
	}
	var incomplete []lake.DayEntry
	first, last := "", ""
	for _, d := range m.Days {
		if d.AccountDays == 0 {
			continue
		}
		if first == "" {
			first = d.Day.String()
		}
		last = d.Day.String()
		if d.Completeness != "complete" {
			incomplete = append(incomplete, d)
		}
	}
	incomplete = append(incomplete, m.NotComplete...)
	if cmd.JSON {
		return cli.JSON(c.Stdout, map[string]any{
			"tenant_id": tenant, "release": m.Release, "as_of": m.AsOf, "first_day": first, "last_day": last,
			"hold": hold, "not_complete": incomplete, "quarantine": m.Quarantine, "input": m.Input,
		})
	}
	fmt.Fprintf(c.Stdout, "%s: release %d, as of %s, %s to %s\n", tenant, m.Release, m.AsOf.UTC().Format(time.RFC3339), first, last)
	if hold != nil {
		fmt.Fprintf(c.Stdout, "on hold since %s by %s: %s\n", hold.Since.UTC().Format(time.RFC3339), hold.Who, hold.Why)
	}
	for _, q := range m.Quarantine {
		fmt.Fprintf(c.Stdout, "quarantine: %s records of %s, %s, arrived %s, parsed amount %s USD\n", cli.Count(q.Records), q.Topic, q.Reason, q.ArrivalDay, c.Amount(q.Readable))
	}
	for len(incomplete) > 0 {
		n := alike(incomplete)
		days := incomplete[0].Day.String()
		if n > 1 {
			days += " to " + incomplete[n-1].Day.String()
		}
		fmt.Fprintf(c.Stdout, "not complete: %s: %s\n", days, strings.Join(reasons(&incomplete[0]), ", "))
		incomplete = incomplete[n:]
	}
	return nil
}

// alike is the number of first entries that fit one line: consecutive days with the same reasons.
func alike(entries []lake.DayEntry) int {
	n := 1
	for n < len(entries) && entries[n].Day == entries[0].Day+billing.Day(n) && slices.Equal(reasons(&entries[n]), reasons(&entries[0])) {
		n++
	}
	return n
}

// reasons returns the reasons of a day, and for each reason of accounts the number of accounts.
func reasons(d *lake.DayEntry) []string {
	all := slices.Clone(d.Reasons)
	counts := map[string]int{}
	for _, reasons := range d.Accounts {
		word := "quarantine"
		if !strings.HasPrefix(reasons[0], word) {
			word = reasons[0]
		}
		counts[word]++
	}
	for _, word := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, fmt.Sprintf("%s in %d accounts", word, counts[word]))
	}
	return all
}
