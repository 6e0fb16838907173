package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"daybook/internal/audit"
	"daybook/internal/cli"
	"daybook/internal/control"
	"daybook/internal/lake"
	"daybook/internal/publish"
	"daybook/internal/state"
)

// exit gives an error of the packages below its exit code. Of several the gravest
// wins: a gate, a difference or a hold, anything else, a lock, missing input.
func exit(err error) error {
	if err == nil {
		return nil
	}
	return cli.Exit(gravest(err), err)
}

// gravity orders the exit codes of several tenants.
var gravity = map[int]int{cli.ExitDone: 0, cli.ExitIncomplete: 1, cli.ExitLocked: 2, cli.ExitError: 3, cli.ExitUsage: 4, cli.ExitGate: 5}

// gravest is the exit code of an error, the gravest of joined ones.
func gravest(err error) int {
	if all := joined(err); all != nil {
		code := cli.ExitDone
		for _, e := range all {
			if c := gravest(e); gravity[c] > gravity[code] {
				code = c
			}
		}
		return code
	}
	switch {
	case err == nil:
		return cli.ExitDone
	case errors.Is(err, publish.ErrGate), errors.Is(err, publish.ErrHold), errors.Is(err, publish.ErrDifference), errors.Is(err, audit.ErrDifference):
		return cli.ExitGate
	case errors.Is(err, publish.ErrIncomplete), errors.Is(err, audit.ErrIncomplete):
		return cli.ExitIncomplete
	case errors.Is(err, publish.ErrUsage):
		return cli.ExitUsage
	case errors.Is(err, state.ErrLocked), errors.Is(err, lake.ErrLocked), errors.Is(err, lake.ErrTaken):
		return cli.ExitLocked
	}
	return cli.ExitError
}

// joined are the errors that errors.Join made err, or an error that err wraps, of; nil where err is one error. A
// message with several causes (fmt.Errorf with two %w) is one error: its kind is that of any of its causes. The
// text of joined errors is that of each on its own line, as errors.Join documents.
func joined(err error) []error {
	for ; err != nil; err = errors.Unwrap(err) {
		several, ok := err.(interface{ Unwrap() []error })
		if !ok {
			continue
		}
		all := several.Unwrap()
		texts := make([]string, 0, len(all))
		for _, e := range all {
			texts = append(texts, e.Error())
		}
		if err.Error() == strings.Join(texts, "\n") {
			return all
		}
	}
	return nil
}

// explain adds the remedy to errors that a user can do something about.
func explain(err error) error {
	switch {
	case errors.Is(err, state.ErrNotFound):
		return fmt.Errorf("%w, or name another directory with --state", err)
	case errors.Is(err, state.ErrLocked):
		return fmt.Errorf("%w: another process has it; is an ingest starting, or another publisher at work?", err)
	case errors.Is(err, control.ErrForbidden):
		return fmt.Errorf("%w: run the publisher as the user of ingest", err)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w: run the publisher as the user that owns state and lake", err)
	}
	return err
}
