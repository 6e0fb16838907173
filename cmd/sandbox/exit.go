package main

import (
	"context"
	"errors"
	"log/slog"

	"daybook/internal/cli"
	"daybook/internal/ingest"
	"daybook/internal/lake"
	"daybook/internal/publish"
	"daybook/internal/sandbox"
	"daybook/internal/state"
)

// exit gives an error its exit code.
func exit(err error) error {
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	switch {
	case is(sandbox.ErrLocked, state.ErrLocked, lake.ErrLocked):
		return cli.Exit(cli.ExitLocked, err)
	case is(publish.ErrGate, publish.ErrDifference, sandbox.ErrNotAccountedFor, sandbox.ErrNotAsSaid):
		return cli.Exit(cli.ExitGate, err)
	case is(publish.ErrIncomplete, ingest.ErrBehind):
		return cli.Exit(cli.ExitIncomplete, err)
	}
	return err
}

// quieter logs errors alone, because what a sandbox prints says the rest,
// unless details are asked for.
func quieter(log *slog.Logger) *slog.Logger {
	if log.Enabled(context.Background(), slog.LevelDebug) {
		return log
	}
	return slog.New(errorsOnly{log.Handler()})
}

// errorsOnly is a handler without what is less than an error.
type errorsOnly struct{ slog.Handler }

// Enabled lets errors through.
func (h errorsOnly) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelError && h.Handler.Enabled(ctx, l)
}

// WithAttrs keeps the filter.
func (h errorsOnly) WithAttrs(attrs []slog.Attr) slog.Handler {
	return errorsOnly{h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the filter.
func (h errorsOnly) WithGroup(name string) slog.Handler { return errorsOnly{h.Handler.WithGroup(name)} }
