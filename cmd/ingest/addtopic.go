package main

import (
	"fmt"

	"daybook/internal/cli"
	"daybook/internal/ingest"
	"daybook/internal/kafka"
)

type addTopicCommand struct {
	stateFlag
	Kafka kafka.Config `embed:""`
	Name  []string     `arg:"" help:"Topic to add."`
}

// Run adds the topics.
func (a *addTopicCommand) Run(c *cli.Context) error {
	cfg := ingest.Config{Kafka: a.Kafka, State: a.State}
	if err := ingest.AddTopics(c, cfg, a.Name, deps(c)); err != nil {
		return exit(err)
	}
	for _, name := range a.Name {
		fmt.Fprintf(c.Stdout, "added topic %s; the next run reads it from its beginning\n", name)
	}
	return nil
}
