package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"daybook/internal/test/scripttest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sandbox": main})
}

// TestScripts runs every script of testdata/script against the program.
func TestScripts(t *testing.T) {
	scripttest.Run(t, nil, nil)
}
