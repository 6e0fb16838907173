package main

import (
	"errors"
	"fmt"
	"os"

	"daybook/internal/cli"
	"daybook/internal/inspect"
)

type certificateCommand struct {
	tenantFlags `embed:""`
	Release     int    `arg:"" optional:"" help:"The release; default the newest." placeholder:"N"`
	AccountDays bool   `help:"With the digest of every account-day, computed from the released events."`
	From        *day   `help:"Only from this usage date on." placeholder:"YYYY-MM-DD"`
	To          *day   `help:"Only up to this usage date." placeholder:"YYYY-MM-DD"`
	Compare     string `help:"Compare with another certificate instead of printing this one." placeholder:"OTHER.json" type:"existingfile"`
	JSON        bool   `name:"json" help:"Print the comparison as JSON; a certificate always is."`
}

// Run prints a certificate, or compares two.
func (cmd *certificateCommand) Run(c *cli.Context) error {
	l, tenant, err := cmd.one(c)
	if err != nil {
		return err
	}
	if cmd.Compare == "" {
		certificate, err := inspect.Certify(l.Tenant(tenant), cmd.Release, window(cmd.From, cmd.To), cmd.AccountDays)
		if err != nil {
			return exit(err)
		}
		return cli.JSON(c.Stdout, certificate)
	}
	file, err := os.Open(cmd.Compare)
	if err != nil {
		return err
	}
	defer file.Close()
	other, err := inspect.ReadCertificate(file)
	if err != nil {
		return exit(fmt.Errorf("%s: %w", cmd.Compare, err))
	}
	result, err := inspect.CompareCertificate(l.Tenant(tenant), cmd.Release, window(cmd.From, cmd.To), other)
	if err != nil {
		return exit(err)
	}
	err = exit(result.Err())
	if cmd.JSON {
		return errors.Join(err, cli.JSON(c.Stdout, result))
	}
	if len(result.Differences) == 0 {
		fmt.Fprintf(c.Stdout, "%s: release %d and the other certificate agree on %s days\n", result.Tenant, result.Release, cli.Count(int64(result.Days)))
		return err
	}
	rows := make([][]string, 0, len(result.Differences))
	for _, d := range result.Differences {
		rows = append(rows, []string{d.Day, d.Account, d.What, d.Column, d.Expected, d.Released})
	}
	return errors.Join(err, cli.Table(c.Stdout, []string{"usage_date", "account_id", "what", "column", ">other", ">this"}, rows))
}
