// Ingest consumes topics of billing events into a state directory.
package main

import (
	"io"
	"os"

	"daybook/internal/cli"
)

const help = "Ingest reads billing events from Kafka into a state directory, from which publisher makes releases. " +
	"One ingest runs on a state; every record consumed counts once, whatever is repeated, reordered or killed."

// grammar is the command line.
type grammar struct {
	Init          initCommand       `cmd:"" help:"Create a state of the topics as they are now; the directory must be empty or new."`
	Run           runCommand        `cmd:"" help:"Consume: catch up, then follow until SIGTERM."`
	Rebuild       rebuildCommand    `cmd:"" help:"Build a new state from the start of the topics, and exchange it with the old one in one step."`
	Check         checkCommand      `cmd:"" help:"Verify everything that must hold in a state; exit 4 if something does not."`
	Status        statusCommand     `cmd:"" help:"Show positions, lag, what waits for a release, and quarantine; also while ingest runs."`
	Quarantine    quarantineCommand `cmd:"" help:"Look at records that cannot be events, and settle them."`
	Decisions     decisionsCommand  `cmd:"" help:"Look at what was decided, by whom and why."`
	AllowEmptyDay allowCommand      `cmd:"" help:"Allow days without any event to be published as such; a decision."`
	AddTopic      addTopicCommand   `cmd:"" help:"Add a topic to the state; it is read from its beginning. No ingest may run."`
	Backup        backupCommand     `cmd:"" help:"Copy the state to a new directory, which is a state itself; also while ingest runs."`
}

func main() {
	cli.RestrictFiles(cli.OwnerOnly)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole program.
func run(args []string, stdout, stderr io.Writer) int {
	return cli.Main("ingest", help, &grammar{}, args, stdout, stderr)
}
