package main

import (
	"fmt"

	"daybook/internal/cli"
)

type backupCommand struct {
	stateFlag
	Dir string `arg:"" help:"Directory of the copy; must not exist."`
}

// Run copies the state and checks the copy.
func (b *backupCommand) Run(c *cli.Context) error {
	head, err := stateDir(c, b.State).Backup(c, b.Dir)
	if err != nil {
		return exit(err)
	}
	fmt.Fprintf(c.Stdout, "copied the state at sequence %d to %s and checked the copy\n", head.Sequence, b.Dir)
	return nil
}
