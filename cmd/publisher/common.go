package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"daybook/internal/billing"
	"daybook/internal/cli"
	"daybook/internal/control"
	"daybook/internal/lake"
	"daybook/internal/publish"
	"daybook/internal/state"
)

// lakeFlags name the lake.
type lakeFlags struct {
	Lake string `help:"Directory of the lake." required:"" placeholder:"DIR" env:"DAYBOOK_LAKE"`
}

func (f *lakeFlags) open(c *cli.Context) (*lake.Lake, error) {
	dir, err := filepath.Abs(f.Lake)
	if err != nil {
		return nil, fmt.Errorf("name the lake: %w", err)
	}
	return lake.Open(dir, lake.OS(), c.Now), nil
}

// publisher is one that reads and writes the lake alone.
func (f *lakeFlags) publisher(c *cli.Context) (*publish.Publisher, error) {
	l, err := f.open(c)
	if err != nil {
		return nil, err
	}
	return publish.New(publish.DefaultConfig(), publish.Deps{Lake: l, Now: c.Now, Log: c.Log}), nil
}

// stateFlags name the state that a release is made from.
type stateFlags struct {
	State string `help:"Directory of the state." required:"" placeholder:"DIR" env:"DAYBOOK_STATE"`
}

// source is the state as a source of checkpoints.
func (f *stateFlags) source(c *cli.Context) (publish.Source, error) {
	dir, err := filepath.Abs(f.State)
	if err != nil {
		return nil, fmt.Errorf("name the state: %w", err)
	}
	return publish.StateDir{Dir: dir, Options: state.Options{Logger: c.Log, Now: c.Now}}, nil
}

// tenantFlag names the one tenant that a command is about.
type tenantFlag struct {
	Tenant billing.TenantID `help:"The tenant; needed where the lake has several." placeholder:"TENANT"`
}

// pick is the tenant named, or the only one of the lake.
func (f *tenantFlag) pick(l *lake.Lake) (billing.TenantID, error) {
	tenants, err := l.Tenants()
	if err != nil {
		return "", fmt.Errorf("list tenants: %w", err)
	}
	if f.Tenant != "" {
		for _, t := range tenants {
			if t == f.Tenant {
				return t, nil
			}
		}
		return "", cli.Usagef("tenant %q has no release in this lake", f.Tenant)
	}
	switch len(tenants) {
	case 0:
		return "", errors.New("the lake has no release yet: `publisher run` makes one")
	case 1:
		return tenants[0], nil
	}
	return "", cli.Usagef("the lake has %d tenants: name one with --tenant", len(tenants))
}

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
	if joined, ok := err.(interface{ Unwrap() []error }); ok && !isWrapped(err) {
		code := cli.ExitDone
		for _, e := range joined.Unwrap() {
			if c := gravest(e); gravity[c] > gravity[code] {
				code = c
			}
		}
		return code
	}
	switch {
	case err == nil:
		return cli.ExitDone
	case errors.Is(err, publish.ErrGate), errors.Is(err, publish.ErrHold), errors.Is(err, publish.ErrDifference):
		return cli.ExitGate
	case errors.Is(err, publish.ErrIncomplete):
		return cli.ExitIncomplete
	case errors.Is(err, publish.ErrUsage):
		return cli.ExitUsage
	case errors.Is(err, state.ErrLocked), errors.Is(err, lake.ErrLocked), errors.Is(err, lake.ErrTaken):
		return cli.ExitLocked
	}
	return cli.ExitError
}

// isWrapped reports whether a multi-error is one message with several causes
// (fmt.Errorf with two %w) instead of several messages (errors.Join).
func isWrapped(err error) bool {
	return fmt.Sprintf("%T", err) == "*fmt.wrapErrors"
}

// explain adds the remedy to errors that a user can do something about.
func explain(err error, f *stateFlags) error {
	switch {
	case errors.Is(err, state.ErrNotFound):
		return fmt.Errorf("%s: %w: name the state with --state, or make one with `ingest init`", f.State, err)
	case errors.Is(err, state.ErrLocked):
		return fmt.Errorf("%w: another process has it; is an ingest starting, or another publisher at work?", err)
	case errors.Is(err, control.ErrForbidden):
		return fmt.Errorf("%w: run the publisher as the user of ingest", err)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w: run the publisher as the user that owns state and lake", err)
	}
	return err
}
