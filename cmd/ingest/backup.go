package main

import (
	"fmt"

	"daybook/internal/cli"
	"daybook/internal/ingest"
)

type backupCommand struct {
	stateFlag
	Dir string `arg:"" help:"Directory of the copy; must not exist."`
}

// Run copies the state and checks the copy.
func (b *backupCommand) Run(c *cli.Context) error {
	head, err := ingest.Backup(c, b.State, b.Dir, deps(c))
	if err != nil {
		return exit(err)
	}
	fmt.Fprintf(c.Stdout, "copied the state at sequence %d to %s and checked the copy\n", head.Sequence, b.Dir)
	return nil
}
