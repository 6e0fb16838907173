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

// exit returns an error with its exit code.
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
	case is(publish.ErrGate, publish.ErrDifference, sandbox.ErrNotAccountedFor, sandbox.ErrUnexpectedOutput):
		return cli.Exit(cli.ExitGate, err)
	case is(publish.ErrIncomplete, ingest.ErrBehind):
		return cli.Exit(cli.ExitIncomplete, err)
	}
	return err
}

// quieter logs only errors, because the output of a sandbox has the rest. At level debug it logs everything.
func quieter(log *slog.Logger) *slog.Logger {
	if log.Enabled(context.Background(), slog.LevelDebug) {
		return log
	}
	return slog.New(errorsOnly{log.Handler()})
}

// errorsOnly is a handler that drops records below level error.
type errorsOnly struct{ slog.Handler }

// Enabled reports whether l is at least an error.
func (h errorsOnly) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelError && h.Handler.Enabled(ctx, l)
}

// WithAttrs keeps the filter.
func (h errorsOnly) WithAttrs(attrs []slog.Attr) slog.Handler {
	return errorsOnly{h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the filter.
func (h errorsOnly) WithGroup(name string) slog.Handler { return errorsOnly{h.Handler.WithGroup(name)} }
