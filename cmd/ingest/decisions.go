package main

import (
	"fmt"
	"strconv"

	"daybook/internal/billing"
	"daybook/internal/cli"
	"daybook/internal/state"
)

type decisionsCommand struct {
	List decisionsListCommand `cmd:"" help:"List all decisions, oldest first."`
}

type decisionsListCommand struct {
	stateFlag
	JSON bool `name:"json" help:"Print JSON."`
}

// Run lists them.
func (l *decisionsListCommand) Run(c *cli.Context) error {
	var decisions []state.Decision
	err := stateDir(c, l.State).View(c, func(r *state.Reader) error {
		var err error
		decisions, err = r.Decisions()
		return err
	})
	if err != nil {
		return exit(err)
	}
	if l.JSON {
		if decisions == nil {
			decisions = []state.Decision{}
		}
		return cli.JSON(c.Stdout, decisions)
	}
	rows := make([][]string, 0, len(decisions))
	for _, d := range decisions {
		rows = append(rows, []string{strconv.FormatUint(d.Number, 10), moment(d.When), d.Who, string(d.Kind), string(d.Tenant), touched(d), d.Why})
	}
	return cli.Table(c.Stdout, []string{">NUMBER", "WHEN", "WHO", "WHAT", "TENANT", "TOUCHES", "WHY"}, rows)
}

// touched describes the subject of a decision.
func touched(d state.Decision) string {
	switch d.Kind {
	case state.GapAccepted:
		return fmt.Sprintf("topic #%d partition %d offsets %d to %d, days up to %s", d.Topic, d.Partition, d.From, d.Next-1, d.ToDay)
	case state.QuarantineSettled, state.RulesLoosened:
		return fmt.Sprintf("%d records", len(d.Records))
	case state.EmptyDayAllowed:
		return d.FromDay + " to " + d.ToDay
	}
	return ""
}

type allowCommand struct {
	stateFlag
	deciderFlags
	Tenant billing.TenantID `help:"Tenant whose days are meant." default:"default"`
	From   string           `arg:"" help:"First day, YYYY-MM-DD."`
	To     string           `arg:"" optional:"" help:"Last day; default: the first."`
}

// Run records the decision.
func (a *allowCommand) Run(c *cli.Context) error {
	if a.To == "" {
		a.To = a.From
	}
	from, err := billing.ParseDay(a.From)
	if err != nil {
		return cli.Usagef("first day: %w", err)
	}
	to, err := billing.ParseDay(a.To)
	if err != nil {
		return cli.Usagef("last day: %w", err)
	}
	if to < from {
		return cli.Usagef("the last day, %s, is before the first, %s", to, from)
	}
	if !a.Tenant.Valid() {
		return cli.Usagef("--tenant %q is no tenant's name", string(a.Tenant))
	}
	n, err := stateDir(c, a.State).Decide(c, state.Decision{
		Kind: state.EmptyDayAllowed, Who: a.Who, Why: a.Why, Tenant: a.Tenant, FromDay: from.String(), ToDay: to.String(),
	})
	if err != nil {
		return exit(err)
	}
	fmt.Fprintf(c.Stdout, "decision %d: %s may be without events from %s to %s\n", n, a.Tenant, from, to)
	return nil
}
