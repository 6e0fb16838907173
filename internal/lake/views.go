package lake

import (
	"fmt"
	"path/filepath"
	"strings"
)

// DuckDBViews returns CREATE VIEW statements, one on each line, that read the release in dir. dir is a resolved
// directory (releases/NNNNNN), not current.
func DuckDBViews(dir string) string {
	// Brackets escape special characters of a glob pattern; a second quote escapes a quote in SQL.
	escape := strings.NewReplacer("[", "[[]", "*", "[*]", "?", "[?]", "'", "''")
	var lines strings.Builder
	for _, ds := range Datasets() {
		var pattern, options string
		switch ds {
		case AccountDays, ServiceDays, Events:
			pattern, options = "*/*.parquet", ", hive_partitioning = true, hive_types = {'usage_date': DATE}"
		case Changes:
			pattern, options = "*/*.parquet", ", hive_partitioning = true, hive_types = {'release': INTEGER}"
		default:
			pattern, options = "*.parquet", ", hive_partitioning = false"
		}
		fmt.Fprintf(&lines, "CREATE OR REPLACE VIEW %s AS SELECT * FROM read_parquet('%s/%s'%s);\n",
			ds, escape.Replace(filepath.ToSlash(filepath.Join(dir, string(ds)))), pattern, options)
	}
	return lines.String()
}
