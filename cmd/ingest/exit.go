package main

import (
	"errors"

	"daybook/internal/cli"
	"daybook/internal/ingest"
	"daybook/internal/state"
	"daybook/internal/statedir"
)

// errDifference is returned if a check or comparison found a fault.
var errDifference = errors.New("differences found")

// exit returns an error with its exit code, and with a remedy if the error has none.
func exit(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, state.ErrLocked):
		return cli.Exit(cli.ExitLocked, err)
	case errors.Is(err, ingest.ErrBehind):
		return cli.Exit(cli.ExitIncomplete, err)
	case errors.Is(err, ingest.ErrOtherTopics), errors.Is(err, ingest.ErrRulesChanged):
		return cli.Exit(cli.ExitUsage, err)
	case errors.Is(err, errDifference):
		return cli.Exit(cli.ExitGate, err)
	}
	return err
}

// stateFlag is the flag of commands that need only the state directory.
type stateFlag struct {
	State string `help:"State directory." env:"DAYBOOK_STATE" placeholder:"DIR" required:""`
}

// deciderFlags name the person who decides and the reason.
type deciderFlags struct {
	Who string `help:"Who decides." env:"USER" default:"unknown"`
	Why string `help:"Why; kept with the decision and shown in every manifest." required:"" placeholder:"TEXT"`
}

// deps returns the dependencies of a command.
func deps(c *cli.Context) ingest.Deps { return ingest.Deps{Log: c.Log, Now: c.Now} }

// stateDir is the state directory of a command that works with or without a running ingest.
func stateDir(c *cli.Context, path string) statedir.Dir {
	return statedir.Dir{Path: path, Options: state.Options{Logger: c.Log, Now: c.Now}}
}
