package main

import (
	"errors"
	"fmt"

	"daybook/internal/cli"
	"daybook/internal/state"
)

type checkCommand struct {
	stateFlag
	JSON bool `name:"json" help:"Print JSON."`
}

// Run checks the state. If an ingest runs, it checks a checkpoint.
func (k *checkCommand) Run(c *cli.Context) error {
	var faults []state.Fault
	var head state.Head
	err := stateDir(c, k.State).View(c, func(r *state.Reader) error {
		progress := c.NewProgress("check", "keys", 0)
		defer progress.Close()
		head = r.Head()
		var err error
		faults, err = r.Check(progress.Set)
		return err
	})
	if errors.Is(err, state.ErrDamaged) {
		return cli.Exit(cli.ExitGate, err)
	}
	if err != nil {
		return exit(err)
	}
	return exit(printReport(c, k.JSON, faults, fmt.Sprintf("the state at sequence %d is sound", head.Sequence), "the state is damaged; remedy: ingest rebuild"))
}

// printReport prints the faults, or that there are none.
func printReport(c *cli.Context, asJSON bool, faults []state.Fault, sound, unsound string) error {
	if asJSON {
		if faults == nil {
			faults = []state.Fault{}
		}
		if err := cli.JSON(c.Stdout, faults); err != nil {
			return err
		}
	} else {
		for _, f := range faults {
			fmt.Fprintf(c.Stdout, "%s  %s\n", f.What, f.Key)
		}
		if len(faults) == 0 {
			fmt.Fprintln(c.Stdout, sound)
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: %d; %s", errDifference, len(faults), unsound)
	}
	return nil
}
