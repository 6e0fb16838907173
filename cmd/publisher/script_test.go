package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"daybook/internal/billing"
	"daybook/internal/decode"
	"daybook/internal/state"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"publisher": main})
}

// TestScripts runs every script of testdata/script against the program.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"feed":     feed,
			"caughtup": caughtUp,
			"lock":     lockState,
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("TZ", "America/New_York") // days are UTC whatever the machine thinks
			e.Setenv("DAYBOOK_STATE", filepath.Join(e.WorkDir, "state"))
			e.Setenv("DAYBOOK_LAKE", filepath.Join(e.WorkDir, "lake"))
			return nil
		},
	})
}

// exits CODE PROGRAM ARGUMENTS… runs a program that must end with CODE.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// open opens the script's state, which it makes if need be.
func open(ts *testscript.TestScript) *state.Store {
	dir := ts.Getenv("DAYBOOK_STATE")
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		ts.Check(state.Create(dir, state.Identity{
			Cluster: "cluster", Topics: []state.Topic{{Name: "billing", ID: "aa"}}, Partitions: "all", Rules: billing.DefaultRules(),
		}, state.Options{}))
		store, err := state.Open(dir, state.Options{})
		ts.Check(err)
		_, err = store.Apply(&state.Batch{Advances: []state.Advance{{LastOffset: -1}}})
		ts.Check(err)
		return store
	}
	store, err := state.Open(dir, state.Options{})
	ts.Check(err)
	return store
}

// feed FILE has the state consume the file's lines as records that arrived on 2025-01-08.
func feed(ts *testscript.TestScript, _ bool, args []string) {
	store := open(ts)
	r, err := store.Reader()
	ts.Check(err)
	positions, err := r.Positions()
	ts.Check(err)
	ts.Check(r.Close())
	next := positions[0].NextOffset
	decoder := decode.New(store.Identity().Rules)
	b := &state.Batch{Advances: []state.Advance{{From: next}}}
	for line := range bytes.Lines([]byte(ts.ReadFile(args[0]))) {
		value := bytes.TrimSuffix(line, []byte("\n"))
		rec := state.Record{Size: len(value)}
		rec.Rounded, rec.Rejection = decoder.Decode(decode.Record{
			Topic: "billing", Value: value,
			Source: billing.Source{Offset: next, RecordTime: time.Date(2025, 1, 8, 12, 0, 0, 0, time.UTC).UnixMilli()},
		}, &rec.Event)
		if rec.Rejection != nil {
			rec.Value = value
		}
		b.Records = append(b.Records, rec)
		next++
	}
	a := &b.Advances[0]
	a.Next, a.Delivered, a.LastOffset = next, next-a.From, next-1
	_, err = store.Apply(b)
	ts.Check(errors.Join(err, store.Close()))
}

// caughtup TIME writes that the topic was read to its end at TIME.
func caughtUp(ts *testscript.TestScript, _ bool, args []string) {
	at, err := time.Parse(time.RFC3339, args[0])
	ts.Check(err)
	store := open(ts)
	_, err = store.Apply(&state.Batch{CaughtUp: []state.CaughtUp{{At: at}}})
	ts.Check(errors.Join(err, store.Close()))
}

// lock holds the state open until the script ends.
func lockState(ts *testscript.TestScript, _ bool, _ []string) {
	store := open(ts)
	ts.Defer(func() { ts.Check(store.Close()) })
}
