// Package cli is what the four programs share of being a command: parsing of
// flags, environment and YAML into the configuration structs of the packages,
// logging, signals, exit codes, tables and progress. It decides nothing about
// billing.
package cli

import (
	"context"
	"io"
	"log/slog"
	"time"
)

// Exit codes of all programs.
const (
	ExitDone       = 0 // done, or nothing to do
	ExitError      = 1 // anything else
	ExitUsage      = 2 // bad flags, arguments or configuration
	ExitIncomplete = 3 // input is not complete
	ExitGate       = 4 // a gate, a difference or a hold
	ExitLocked     = 5 // another process has it
)

// Context is what a command runs with. Kong hands it to its Run method.
type Context struct {
	context.Context // ends on SIGTERM or SIGINT; a second signal exits at once
	Stdout, Stderr  io.Writer
	Log             *slog.Logger
	Now             func() time.Time
	Interactive     bool // Stderr is a terminal
}

// Exit wraps err so that the program ends with code.
func Exit(code int, err error) error { panic("not built yet") }

// Main parses args by kong into grammar (a pointer to a struct of commands, each with
// `Run(*cli.Context) error`), runs the command and returns the exit code. A failed command prints one line
// on stderr: "NAME: cause: remedy". name is the program's, help its one-paragraph description.
func Main(name, help string, grammar any, args []string, stdout, stderr io.Writer) int {
	panic("not built yet")
}

// Table prints rows under a header in aligned columns; columns whose header starts with '>' are
// right-aligned.
func Table(w io.Writer, header []string, rows [][]string) error { panic("not built yet") }

// JSON prints v as one indented JSON document.
func JSON(w io.Writer, v any) error { panic("not built yet") }

// Progress shows long work: a bar with rate and time left on a terminal, a log line now and then elsewhere.
type Progress struct{}

// NewProgress starts one; total 0 means unknown. unit is what is counted, e.g. "records".
func (c *Context) NewProgress(label, unit string, total int64) *Progress { panic("not built yet") }

// Set says how far the work is. Safe for concurrent use.
func (p *Progress) Set(done, total int64) { panic("not built yet") }

// Close ends it.
func (p *Progress) Close() { panic("not built yet") }
