package main

import (
	"daybook/internal/cli"
	"daybook/internal/sandbox"
)

type demoCommand struct {
	Dir     string `help:"Directory for everything, empty or new. Default: a new one among the temporary files." type:"path" placeholder:"DIR"`
	Replace bool   `help:"Remove the directory first if an earlier demo made it."`
}

// Run runs the demonstration.
func (d *demoCommand) Run(c *cli.Context) error {
	demo := sandbox.Demo{Dir: d.Dir, Out: c.Stdout, Log: quieter(c.Log), Replace: d.Replace, Amount: c.Amount}
	return exit(demo.Run(c))
}
