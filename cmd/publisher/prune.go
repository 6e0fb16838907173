package main

import (
	"errors"
	"fmt"
	"time"

	"daybook/internal/billing"
	"daybook/internal/cli"
	"daybook/internal/lake"
)

type pruneCommand struct {
	tenantFlags `embed:""`
	Keep        int           `help:"Releases to keep: the newest so many." default:"30" env:"DAYBOOK_KEEP_RELEASES"`
	Age         time.Duration `help:"Keep also what is younger than this, by as-of." default:"0s" env:"DAYBOOK_KEEP_AGE"`
	Grace       time.Duration `help:"How long a pruned release stays where it is for readers that have resolved it; more than their longest job takes." default:"24h" env:"DAYBOOK_PRUNE_GRACE"`
	DryRun      bool          `help:"Only print what would be pruned."`
	JSON        bool          `name:"json" help:"Print as JSON."`
}

// pruned lists the pruned releases of a tenant.
type pruned struct {
	Tenant   billing.TenantID `json:"tenant_id"`
	Releases []int            `json:"releases"`
	Removed  []int            `json:"removed"` // their grace period is over
	DryRun   bool             `json:"dry_run,omitempty"`
}

// Validate refuses flags that would remove all releases.
func (cmd *pruneCommand) Validate() error {
	if cmd.Keep < 1 || cmd.Age < 0 || cmd.Grace < 0 {
		return errors.New("--keep must be at least 1, --age and --grace not negative")
	}
	return nil
}

// Run prunes one tenant, or all.
func (cmd *pruneCommand) Run(c *cli.Context) error {
	l, err := cmd.open(c)
	if err != nil {
		return err
	}
	tenants, err := l.Tenants()
	if err != nil {
		return fmt.Errorf("list tenants: %w", err)
	}
	if cmd.Tenant != "" {
		if _, err := cmd.of(l); err != nil {
			return err
		}
		tenants = []billing.TenantID{cmd.Tenant}
	}
	all := []pruned{}
	var failed []error
	for _, t := range tenants {
		done, err := cmd.prune(l.Tenant(t))
		if err != nil {
			failed = append(failed, fmt.Errorf("tenant %s: %w", t, err))
			continue
		}
		all = append(all, pruned{Tenant: t, Releases: nonNil(done.Releases), Removed: nonNil(done.Removed), DryRun: cmd.DryRun})
	}
	err = exit(errors.Join(failed...))
	if cmd.JSON {
		return errors.Join(err, cli.JSON(c.Stdout, all))
	}
	for _, p := range all {
		prune, remove := "pruned", "removed"
		if cmd.DryRun {
			prune, remove = "would prune", "would remove"
		}
		fmt.Fprintf(c.Stdout, "%s: %s %d releases %v, %s %d whose grace period is over %v\n",
			p.Tenant, prune, len(p.Releases), p.Releases, remove, len(p.Removed), p.Removed)
	}
	return err
}

func (cmd *pruneCommand) prune(s *lake.Series) (done lake.Pruned, err error) {
	unlock, err := s.Lock()
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	return s.Prune(lake.Retention{Keep: cmd.Keep, Age: cmd.Age, Grace: cmd.Grace}, cmd.DryRun)
}

// nonNil returns a list that JSON encodes as [] if it is empty.
func nonNil(list []int) []int {
	if list == nil {
		return []int{}
	}
	return list
}
