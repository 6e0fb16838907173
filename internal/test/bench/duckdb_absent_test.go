//go:build !cgo

package bench

import (
	"testing"
	"time"
)

// Without a C compiler the rows stand alone.

const noDuck = "no C compiler, so no DuckDB"

func duckRelease(*testing.T, []string, string) (time.Duration, bool) { return 0, false }

type duckBooks struct{}

func newDuckBooks(*testing.T, []string, string) *duckBooks { return &duckBooks{} }

func (*duckBooks) there() bool                  { return false }
func (*duckBooks) close()                       {}
func (*duckBooks) correct(string) time.Duration { return time.Nanosecond }
