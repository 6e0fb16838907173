// Command sandbox runs Daybook on one machine: a broker, a demonstration, and a trial of the user's own bill.
package main

import (
	"io"
	"os"

	"daybook/internal/cli"
)

const about = "Daybook on one machine, in one process: an embedded Kafka-compatible broker, " +
	"a demonstration of one week with a late correction, and a trial that ingests and publishes your own bill."

type program struct {
	Broker brokerCommand `cmd:"" help:"Run an embedded Kafka-compatible broker on 127.0.0.1 until stopped."`
	Demo   demoCommand   `cmd:"" help:"Show a week of billing events, a release, a late correction, and a second release."`
	Try    tryCommand    `cmd:"" help:"Load, ingest and publish your own bill, and account for every row of it."`
}

func main() {
	cli.RestrictFiles(cli.NoOthers)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	return cli.Main("sandbox", about, &program{}, args, stdout, stderr)
}
