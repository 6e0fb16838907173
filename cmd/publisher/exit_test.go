package main

import (
	"errors"
	"fmt"
	"testing"

	"daybook/internal/audit"
	"daybook/internal/cli"
	"daybook/internal/lake"
	"daybook/internal/publish"
	"daybook/internal/state"
)

// TestExitCodes: one error has the code of what it is, joined errors that of the gravest, however they are wrapped.
func TestExitCodes(t *testing.T) {
	disk := errors.New("no space left on device")
	tenant := func(err error) error { return fmt.Errorf("tenant acme: %w", err) }
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, cli.ExitDone},
		{disk, cli.ExitError},
		{fmt.Errorf("%w null_key; release 6 remains current", publish.ErrGate), cli.ExitGate},
		{tenant(publish.ErrHold), cli.ExitGate},
		{fmt.Errorf("%w: 3 places", publish.ErrDifference), cli.ExitGate},
		{audit.ErrDifference, cli.ExitGate},
		{fmt.Errorf("%w: %w", publish.ErrIncomplete, disk), cli.ExitIncomplete},
		{audit.ErrIncomplete, cli.ExitIncomplete},
		{fmt.Errorf("%w: --expect-accounts: %w", publish.ErrUsage, disk), cli.ExitUsage},
		{fmt.Errorf("%w by process 7: %w", lake.ErrLocked, disk), cli.ExitLocked},
		{fmt.Errorf("%w: %w", state.ErrLocked, disk), cli.ExitLocked},
		{lake.ErrTaken, cli.ExitLocked},

		{errors.Join(nil, nil), cli.ExitDone},
		{errors.Join(publish.ErrIncomplete, disk), cli.ExitError},
		{errors.Join(lake.ErrLocked, publish.ErrIncomplete), cli.ExitLocked},
		{errors.Join(disk, publish.ErrUsage), cli.ExitUsage},
		{errors.Join(tenant(lake.ErrLocked), tenant(publish.ErrGate), tenant(disk)), cli.ExitGate},
		{errors.Join(tenant(errors.Join(publish.ErrIncomplete, disk)), lake.ErrLocked), cli.ExitError},
		{tenant(errors.Join(publish.ErrIncomplete, disk)), cli.ExitError},
		{errors.Join(fmt.Errorf("%w: %w", publish.ErrIncomplete, disk), lake.ErrLocked), cli.ExitLocked},
	} {
		if got := gravest(c.err); got != c.want {
			t.Errorf("%v: exit code %d, want %d", c.err, got, c.want)
		}
	}
}
