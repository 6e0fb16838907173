package cli

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// Exit codes of all programs.
const (
	ExitDone       = 0 // done, or nothing to do
	ExitError      = 1 // any other error
	ExitUsage      = 2 // bad flags, arguments or configuration
	ExitIncomplete = 3 // input is not complete
	ExitGate       = 4 // a gate, a difference or a hold
	ExitLocked     = 5 // locked by another process
)

// exitCodesHelp ends every --help.
const exitCodesHelp = `
Exit codes:
  0  done, or nothing to do
  1  any other error
  2  usage: a bad flag, argument or configuration
  3  the input is not complete
  4  a gate failed, numbers differ, or a hold is on
  5  locked by another process
`

// exitError is an error with an exit code.
type exitError struct {
	code int
	err  error
}

// Exit wraps err so that the program ends with code. An Exit around another
// one wins. A nil err stays nil.
func Exit(code int, err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code: code, err: err}
}

// Usagef returns an error about flags or arguments that is detected while the command runs. Its exit code is 2.
func Usagef(format string, args ...any) error {
	return Exit(ExitUsage, fmt.Errorf(format, args...))
}

func (e *exitError) Error() string { return e.err.Error() }

func (e *exitError) Unwrap() error { return e.err }

// ExitCode returns the exit code of err: 0 for nil, the code of its outermost Exit, else 1.
func ExitCode(err error) int {
	if err == nil {
		return ExitDone
	}
	var e *exitError
	if errors.As(err, &e) {
		return e.code
	}
	return ExitError
}

// oneLine formats a message as one line. Joined errors are separated by "; ". Control characters, which may come
// from an id in a record, are escaped.
func oneLine(text string) string {
	var b strings.Builder
	for i, line := range strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(visible(strings.TrimSpace(line)))
	}
	return b.String()
}

// visible escapes characters that a terminal would interpret.
func visible(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
