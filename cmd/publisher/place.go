package main

import (
	"fmt"
	"os"
	"strings"

	"daybook/internal/billing"
	"daybook/internal/lake"
)

// place is where a release lies: n, or with 0 the newest.
func place(l *lake.Lake, t billing.TenantID, n int) (int, string, error) {
	s := l.Tenant(t)
	if n == 0 {
		return s.Resolve()
	}
	dir := s.Dir(n)
	if _, err := os.Stat(dir); err != nil {
		return 0, "", fmt.Errorf("release %d of tenant %s: %w: it was never made, or is pruned", n, t, lake.ErrNoRelease)
	}
	return n, dir, nil
}

// duckDBViews are CREATE VIEW lines, one per dataset.
func duckDBViews(dir string, _ *lake.Manifest) string {
	var b strings.Builder
	for _, ds := range lake.Datasets() {
		fmt.Fprintf(&b, "CREATE OR REPLACE VIEW %s AS SELECT * FROM read_parquet('%s/%s/**/*.parquet', hive_partitioning = true);\n",
			ds, strings.ReplaceAll(dir, "'", "''"), ds)
	}
	return b.String()
}
