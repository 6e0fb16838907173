//go:build !cgo

package pipeline

import (
	"context"
	"testing"

	"daybook/internal/lake"
)

// otherReader is Go's too: DuckDB needs a C compiler.
func otherReader(*testing.T) readFunc { return readByGo }

// scans needs DuckDB.
type scans struct{}

func newScans(*testing.T, string) *scans { return nil }

func (*scans) run(context.Context) error { return nil }

func (*scans) report(*testing.T, *lake.Series) {}
