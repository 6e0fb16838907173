// Package scripttest runs the scripts of a command (testdata/script/*.txtar, package testscript) with the script
// commands that all programs share. It owns no broker and no state: a program adds those by its own script
// commands.
package scripttest

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// Command is a command of a script.
type Command = func(ts *testscript.TestScript, neg bool, args []string)

// waitLimit bounds waitfor.
const waitLimit = 10 * time.Second

// Run runs every script of testdata/script. Besides the given commands a script has
//
//	exits CODE PROGRAM ARGUMENT…   runs a program, which must exit with CODE
//	waitfor FILE                   waits until a program in the background has created a file
//	halt                           sends SIGTERM to the programs in the background (testscript's stop ends the script)
//
// The time zone is not UTC, because days are UTC on every machine.
func Run(t *testing.T, commands map[string]Command, setup func(*testscript.Env) error) {
	all := map[string]Command{"exits": exits, "waitfor": waitFor, "halt": halt}
	maps.Copy(all, commands)
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/script",
		Cmds: all,
		Setup: func(e *testscript.Env) error {
			e.Setenv("TZ", "America/New_York")
			if setup == nil {
				return nil
			}
			return setup(e)
		},
	})
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("run %s: %v", args[1], err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(waitLimit); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
	}
	ts.Fatalf("%s was not created within %s", args[0], waitLimit)
}

func halt(ts *testscript.TestScript, _ bool, _ []string) {
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(syscall.SIGTERM))
	}
}
