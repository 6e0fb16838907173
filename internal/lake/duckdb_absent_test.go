//go:build !cgo

package lake

import "testing"

func TestDuckDB(t *testing.T) {
	t.Fatal("these tests read releases with DuckDB, which is linked in: install a C compiler (and leave CGO_ENABLED alone)")
}
