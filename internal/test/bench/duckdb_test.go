//go:build cgo

package bench

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2"
)

// What DuckDB is asked to do is what a careful user of it would write: read the JSON lines with
// given types, keep the latest version of each event, and write the same datasets, sorted by their keys. It
// reads numbers through a double and sums the results.

// duckColumns are the columns of an event.
const duckColumns = `{event_id: 'VARCHAR', account_id: 'VARCHAR', service_name: 'VARCHAR', usage_date: 'DATE', cost_usd: 'DECIMAL(38,18)',
	ingested_at: 'TIMESTAMP', region: 'VARCHAR', pricing_model: 'VARCHAR', charge_category: 'VARCHAR', sku: 'VARCHAR'}`

const noDuck = "no DuckDB"

func openDuck(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("duckdb", path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	duckDo(t, db, "SET threads = 2", "SET TimeZone = 'UTC'", "SET preserve_insertion_order = false")
	return db
}

func duckDo(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// duckRead reads files of JSON lines.
func duckRead(files []string) string {
	quoted := make([]string, len(files))
	for i, f := range files {
		quoted[i] = "'" + f + "'"
	}
	return fmt.Sprintf("read_json([%s], format = 'newline_delimited', columns = %s)", strings.Join(quoted, ", "), duckColumns)
}

// duckWinners are the latest versions.
func duckWinners(files []string) string {
	return "SELECT * FROM " + duckRead(files) + " QUALIFY row_number() OVER (PARTITION BY event_id ORDER BY ingested_at DESC) = 1"
}

// The derived tables, of whatever is in the table events.
const (
	duckServiceDays = `SELECT account_id, service_name, usage_date, sum(cost_usd)::DECIMAL(38,18) AS total_cost_usd, count(*) AS event_count
		FROM events %s GROUP BY ALL`
	duckAccountDays = `SELECT account_id, usage_date, sum(total_cost_usd)::DECIMAL(38,18) AS total_cost_usd, true AS data_complete,
		current_timestamp AS published_at, 1::BIGINT AS revision, NULL::DECIMAL(38,18) AS previous_total_cost_usd, sum(event_count)::BIGINT AS event_count
		FROM service_days %s GROUP BY ALL`
)

// duckCopy writes a table as the dataset of that name.
func duckCopy(table, dataset, where, order, dir string) string {
	return fmt.Sprintf("COPY (SELECT 'default' AS tenant_id, * FROM %s %s ORDER BY usage_date, %s) TO '%s' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (usage_date), OVERWRITE_OR_IGNORE)",
		table, where, order, filepath.Join(dir, dataset))
}

// duckDays writes the datasets that lie by day.
func duckDays(where, dir string) []string {
	return []string{
		duckCopy("events", "normalized_billing_events", where, "account_id, event_id", dir),
		duckCopy("service_days", "account_service_day_cost", where, "account_id, service_name", dir),
		duckCopy("account_days", "daily_account_cost", where, "account_id", dir),
	}
}

// duckRelease makes the first release of all datasets from JSON lines.
func duckRelease(t *testing.T, files []string, dir string) (time.Duration, bool) {
	t.Helper()
	out := filepath.Join(dir, "duckdb-release")
	makeDir(t, out)
	began := time.Now()
	db := openDuck(t, "")
	duckDo(t, db,
		"CREATE TABLE events AS "+duckWinners(files),
		"CREATE TABLE service_days AS "+fmt.Sprintf(duckServiceDays, ""),
		"CREATE TABLE account_days AS "+fmt.Sprintf(duckAccountDays, ""),
	)
	duckDo(t, db, duckDays("", out)...)
	for dataset, column := range map[string]string{"dim_account": "account_id", "dim_service": "service_name", "dim_region": "region", "dim_pricing_model": "pricing_model"} {
		duckDo(t, db, fmt.Sprintf("COPY (SELECT DISTINCT 'default' AS tenant_id, %s FROM events WHERE %s IS NOT NULL ORDER BY 2) TO '%s' (FORMAT parquet, COMPRESSION zstd)",
			column, column, filepath.Join(out, dataset+".parquet")))
	}
	duckDo(t, db, fmt.Sprintf(`COPY (SELECT 'default' AS tenant_id, account_id, usage_date, 'new' AS kind, NULL::VARCHAR AS reasons, NULL::DECIMAL(38,18) AS old_total_usd,
		total_cost_usd AS new_total_usd, total_cost_usd AS delta_usd FROM account_days ORDER BY usage_date, account_id) TO '%s' (FORMAT parquet, COMPRESSION zstd)`,
		filepath.Join(out, "account_day_changes.parquet")))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return time.Since(began), true
}

// duckTables is DuckDB keeping events in a table with a primary key.
type duckTables struct {
	t         *testing.T
	path, dir string
}

// newDuckBooks loads the table and makes the first files.
func newDuckBooks(t *testing.T, files []string, dir string) *duckTables {
	t.Helper()
	d := &duckTables{t: t, path: filepath.Join(dir, "tables.duckdb"), dir: filepath.Join(dir, "duckdb-tables")}
	makeDir(t, d.dir)
	db := openDuck(t, d.path)
	duckDo(t, db,
		`CREATE TABLE events (event_id VARCHAR PRIMARY KEY, account_id VARCHAR, service_name VARCHAR, usage_date DATE, cost_usd DECIMAL(38,18),
			ingested_at TIMESTAMP, region VARCHAR, pricing_model VARCHAR, charge_category VARCHAR, sku VARCHAR)`,
		"INSERT INTO events SELECT * FROM ("+duckWinners(files)+") ORDER BY usage_date",
		"CREATE TABLE service_days AS "+fmt.Sprintf(duckServiceDays, ""),
		"CREATE TABLE account_days AS "+fmt.Sprintf(duckAccountDays, ""),
	)
	duckDo(t, db, duckDays("", d.dir)...)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *duckTables) there() bool { return true }

func (d *duckTables) close() {}

// correct updates the events of a file, recomputes the account-days that they touch and writes the
// files of their days again, from opening the database to closing it.
func (d *duckTables) correct(file string) time.Duration {
	d.t.Helper()
	began := time.Now()
	db := openDuck(d.t, d.path)
	const touched = "WHERE (account_id, usage_date) IN (SELECT (account_id, usage_date) FROM corrections)"
	duckDo(d.t, db,
		"CREATE TEMP TABLE corrections AS SELECT * FROM "+duckRead([]string{file}),
		"BEGIN",
		"UPDATE events SET cost_usd = c.cost_usd, ingested_at = c.ingested_at FROM corrections c WHERE events.event_id = c.event_id AND c.ingested_at > events.ingested_at",
		"DELETE FROM service_days "+touched,
		"INSERT INTO service_days "+fmt.Sprintf(duckServiceDays, touched),
		"DELETE FROM account_days "+touched,
		"INSERT INTO account_days "+fmt.Sprintf(duckAccountDays, touched),
		"COMMIT",
	)
	duckDo(d.t, db, duckDays("WHERE usage_date IN (SELECT usage_date FROM corrections)", d.dir)...)
	if err := db.Close(); err != nil {
		d.t.Fatal(err)
	}
	return time.Since(began)
}
