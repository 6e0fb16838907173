// Command produce brings billing events to a Kafka topic: JSON lines, CSV, AWS
// Cost and Usage Reports, FOCUS exports, or synthetic load.
package main

import (
	"io"
	"os"

	"daybook/internal/cli"
)

const about = "Brings billing events to a Kafka topic: JSON lines, CSV, AWS Cost and Usage Reports, FOCUS exports " +
	"(each also compressed by gzip), or synthetic load. Pushing the same files again changes nothing."

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	return cli.Main("produce", about, &command{}, args, stdout, stderr)
}
