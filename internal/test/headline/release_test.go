//go:build cgo

package headline

import (
	"database/sql"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2"

	"daybook/internal/test/oracle"
)

// tables are the facts of one release of one tenant, as DuckDB reads them: per
// dataset a row's key and what it says.
type tables map[string]map[string]string

// queries give a key and a value, both as text, for each row of a dataset.
var queries = map[string]string{
	"daily_account_cost": `SELECT concat_ws(' ', usage_date, account_id),
		concat_ws(' ', total_cost_usd, event_count, data_complete)`,
	"account_service_day_cost": `SELECT concat_ws(' ', usage_date, account_id, service_name),
		concat_ws(' ', total_cost_usd, event_count)`,
	"normalized_billing_events": `SELECT event_id,
		concat_ws(' ', usage_date, account_id, service_name, coalesce(region, '-'), coalesce(pricing_model, '-'),
			coalesce(charge_category, '-'), coalesce(billing_period, '-'), cost_usd)`,
	"account_day_changes": `SELECT concat_ws(' ', usage_date, account_id), sum(delta_usd)::DECIMAL(38, 18)::VARCHAR`,
	"dim_account":         `SELECT account_id, ''`,
	"dim_service":         `SELECT service_name, ''`,
	"dim_region":          `SELECT region, ''`,
	"dim_pricing_model":   `SELECT pricing_model, ''`,
}

// duck is a DuckDB in memory.
func duck(t *testing.T) *sql.DB {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// read reads a release's directory. A dataset without a file has no rows.
func read(db *sql.DB, dir string) (tables, error) {
	all := tables{}
	for name, query := range queries {
		all[name] = map[string]string{}
		files := "*.parquet"
		if partitioned, _ := filepath.Glob(filepath.Join(dir, name, "*", "*.parquet")); len(partitioned) > 0 {
			files = "*/*.parquet"
		} else if flat, _ := filepath.Glob(filepath.Join(dir, name, files)); len(flat) == 0 {
			continue
		}
		query += fmt.Sprintf(" FROM read_parquet('%s', hive_partitioning = true)", filepath.Join(dir, name, files))
		if name == "account_day_changes" {
			query += " GROUP BY ALL"
		}
		rows, err := db.Query(query)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for rows.Next() {
			var key, value string
			if err := rows.Scan(&key, &value); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if _, twice := all[name][key]; twice {
				return nil, fmt.Errorf("%s: two rows for %q", name, key)
			}
			all[name][key] = value
		}
		if err := rows.Close(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return all, nil
}

// expect is what a release of a tenant must say by the model, for the days up
// to last.
func expect(modelTables *oracle.Tables, tenant, last string) tables {
	want := tables{}
	for name := range queries {
		want[name] = map[string]string{}
	}
	due := func(c oracle.Cell) bool { return string(c.Tenant) == tenant && c.Day <= last }
	for c, sum := range modelTables.Accounts {
		if !due(c) {
			continue
		}
		key := c.Day + " " + c.Account
		want["daily_account_cost"][key] = fmt.Sprintf("%s %d %t", sum.USD.FloatString(18), sum.Events, sum.Withheld == 0)
		want["account_day_changes"][key] = sum.USD.FloatString(18)
		// Also of an account-day that has nothing but withheld records: a join must not lose its row.
		want["dim_account"][c.Account] = ""
	}
	for c, sum := range modelTables.Services {
		if due(c) {
			want["account_service_day_cost"][c.Day+" "+c.Account+" "+c.Service] = fmt.Sprintf("%s %d", sum.USD.FloatString(18), sum.Events)
		}
	}
	dash := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	for key, e := range modelTables.Winners {
		if string(key.Tenant) != tenant || e.Deleted || e.Day > last {
			continue
		}
		want["normalized_billing_events"][string(key.ID)] = fmt.Sprint(e.Day, " ", e.Account, " ", e.Service, " ", dash(e.Region), " ",
			dash(e.PricingModel), " ", dash(e.Category), " ", dash(e.Period), " ", e.Cost.FloatString(18))
		want["dim_service"][e.Service] = ""
		if e.Region != "" {
			want["dim_region"][e.Region] = ""
		}
		if e.PricingModel != "" {
			want["dim_pricing_model"][e.PricingModel] = ""
		}
	}
	return want
}

// differences lists what a release says otherwise than the model, at most 20 lines. An account-day that
// was retracted stands in the ledger with a sum of zero.
func differences(got, want tables) []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		keys := maps.Clone(want[name])
		maps.Copy(keys, got[name])
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			g, inGot := got[name][key]
			w, inWant := want[name][key]
			if name == "account_day_changes" && !inWant && g == "0.000000000000000000" {
				continue
			}
			if g != w || inGot != inWant {
				lines = append(lines, fmt.Sprintf("%s, %s: release %q (%t), model %q (%t)", name, key, g, inGot, w, inWant))
			}
		}
	}
	return lines[:min(len(lines), 20)]
}

// resolve is the directory that current names.
func resolve(lake, tenant string) (string, error) {
	link := filepath.Join(lake, tenant, "current")
	if _, err := os.Lstat(link); os.IsNotExist(err) {
		return "", nil
	}
	return filepath.EvalSymlinks(link)
}
