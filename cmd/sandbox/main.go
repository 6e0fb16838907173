// Command sandbox is Daybook on one machine: a broker, a demonstration, and a
// way to put one's own bill through the whole path.
package main

import (
	"io"
	"os"

	"daybook/internal/cli"
)

const about = "Daybook on one machine, in one process: an embedded Kafka-compatible broker, " +
	"a demonstration of a week of books with a late correction, and your own bill put through the whole path."

type program struct {
	Broker brokerCommand `cmd:"" help:"Run an embedded Kafka-compatible broker on 127.0.0.1 until stopped."`
	Demo   demoCommand   `cmd:"" help:"Show a week of billing events, a release, a late correction, and a second release."`
	Try    tryCommand    `cmd:"" help:"Put a bill of your own through the whole path and account for every row of it."`
}

func main() {
	cli.RestrictFiles(cli.NoOthers)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	return cli.Main("sandbox", about, &program{}, args, stdout, stderr)
}
