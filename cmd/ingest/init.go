package main

import (
	"fmt"

	"daybook/internal/cli"
	"daybook/internal/ingest"
)

type initCommand struct {
	Consume ingest.Config      `embed:""`
	Rules   ingest.RulesConfig `embed:""`
}

// Run creates the state.
func (i *initCommand) Run(c *cli.Context) error {
	id, err := ingest.Init(c, i.Consume, i.Rules, deps(c))
	if err != nil {
		return exit(err)
	}
	fmt.Fprintf(c.Stdout, "created state %s of cluster %s\n", i.Consume.State, id.Cluster)
	for _, t := range id.Topics {
		fmt.Fprintf(c.Stdout, "topic %s\n", t.Name)
	}
	return nil
}
