//go:build !cgo

package bench

import (
	"testing"
	"time"
)

// Without a C compiler the rows stand alone.

const noDuck = "no C compiler, so no DuckDB"

func duckRelease(*testing.T, []string, string) (time.Duration, bool) { return 0, false }

type duckTables struct{}

func newDuckBooks(*testing.T, []string, string) *duckTables { return &duckTables{} }

func (*duckTables) there() bool                  { return false }
func (*duckTables) close()                       {}
func (*duckTables) correct(string) time.Duration { return time.Nanosecond }
