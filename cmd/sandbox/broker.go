package main

import (
	"fmt"

	"daybook/internal/cli"
	"daybook/internal/sandbox"
)

type brokerCommand struct {
	sandbox.BrokerConfig `embed:""`
}

// Run prints the address of the broker and serves until a signal arrives.
func (b *brokerCommand) Run(c *cli.Context) error {
	broker, err := sandbox.OpenBroker(b.BrokerConfig, c.Log)
	if err != nil {
		return exit(err)
	}
	place := "in memory; it is gone when this stops"
	if b.Data != "" {
		place = "data in " + b.Data
	}
	fmt.Fprintf(c.Stdout, "listening on %s (%s)\n", broker.Addr(), place)
	for _, t := range broker.Topics() {
		fmt.Fprintf(c.Stdout, "topic %s, %d partitions\n", t.Name, t.Partitions)
	}
	<-c.Done()
	return broker.Close()
}
