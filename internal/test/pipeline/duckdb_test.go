//go:build cgo

package pipeline

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2"

	"daybook/internal/billing"
	"daybook/internal/lake"
)

// duck is a DuckDB in memory, with one connection.
func duck(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("SET threads = 1"); err != nil {
		t.Fatal(err)
	}
	return db
}

// duckMoney is the money column of a dataset, as DuckDB adds it up.
var duckMoney = map[lake.Dataset]string{
	lake.Events: "cost_usd", lake.ServiceDays: "total_cost_usd", lake.AccountDays: "total_cost_usd", lake.Changes: "delta_usd",
}

// otherReader reads a release by DuckDB: every row, and every byte of every file.
func otherReader(t *testing.T) readFunc {
	db := duck(t)
	return func(dir string, _ *lake.Manifest) (*facts, error) {
		if _, err := db.Exec(lake.DuckDBViews(dir)); err != nil {
			return nil, err
		}
		got := newFacts()
		for _, ds := range lake.Datasets() {
			column, has := duckMoney[ds]
			if !has {
				column = "0"
			}
			if err := rows(db, fmt.Sprintf("SELECT count(*), coalesce(sum(%s), 0)::VARCHAR FROM %s", column, ds), func(scan scanFunc) error {
				var one sum
				err := scan(&one.rows, &one.usd)
				got.sets[ds] = sum{usd: "0"}.plus(one)
				return err
			}); err != nil {
				return nil, err
			}
			byDay, ok := got.days[ds]
			if !ok {
				continue
			}
			if err := rows(db, fmt.Sprintf("SELECT usage_date::VARCHAR, count(*), sum(%s)::VARCHAR FROM %s GROUP BY ALL", column, ds), func(scan scanFunc) error {
				var d day
				var one sum
				err := scan(&d, &one.rows, &one.usd)
				byDay[d] = sum{usd: "0"}.plus(one)
				return err
			}); err != nil {
				return nil, err
			}
		}
		if err := rows(db, fmt.Sprintf("SELECT count(DISTINCT event_id) FROM %s", lake.Events), func(scan scanFunc) error {
			return scan(&got.ids)
		}); err != nil {
			return nil, err
		}
		return got, rows(db, fmt.Sprintf("SELECT filename, sha256(content) FROM read_blob('%s/**/*.parquet')", dir), func(scan scanFunc) error {
			var name, hash string
			if err := scan(&name, &hash); err != nil {
				return err
			}
			path, err := filepath.Rel(dir, name)
			got.files[path] = hash
			return err
		})
	}
}

type scanFunc = func(into ...any) error

// rows gives each row of a query to take.
func rows(db *sql.DB, query string, take func(scanFunc) error) error {
	result, err := db.Query(query)
	if err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	defer result.Close()
	for result.Next() {
		if err := take(result.Scan); err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
	}
	return result.Err()
}

// scans are what a reader saw that does what readers should not: it scans
// through `current`.
type scans struct {
	db      *sql.DB
	files   string
	failed  []error
	results map[string]int // by the days and totals seen
}

func newScans(t *testing.T, root string) *scans {
	files := fmt.Sprintf("'%s/%s/current/daily_account_cost/*/*.parquet'", root, billing.DefaultTenant)
	return &scans{db: duck(t), files: files, results: map[string]int{}}
}

func (s *scans) run(ctx context.Context) error {
	for ctx.Err() == nil {
		signature, err := scanDays(s.db, s.files)
		if err != nil {
			s.failed = append(s.failed, err)
		} else {
			s.results[signature]++
		}
		pause(ctx, 20*time.Millisecond)
	}
	return nil
}

// scanDays is each day with its total, in one line.
func scanDays(db *sql.DB, files string) (string, error) {
	var days []string
	query := "SELECT usage_date::VARCHAR, sum(total_cost_usd)::VARCHAR FROM read_parquet(" + files + ", hive_partitioning = true) GROUP BY ALL ORDER BY ALL"
	err := rows(db, query, func(scan scanFunc) error {
		var d, usd string
		err := scan(&d, &usd)
		days = append(days, d+" "+sum{usd: "0"}.plus(sum{usd: usd}).usd)
		return err
	})
	return strings.Join(days, ", "), err
}

// report says how many scans were no release. That some are is the reason for
// resolving once; none is luck, so it is no failure.
func (s *scans) report(t *testing.T, series *lake.Series) {
	t.Helper()
	entries, err := series.List()
	if err != nil {
		t.Fatal(err)
	}
	releases := map[string]bool{}
	for _, e := range entries {
		m, err := series.Manifest(e.Release)
		if err != nil {
			t.Fatal(err)
		}
		var days []string
		for _, d := range m.Days {
			if d.AccountDays > 0 {
				days = append(days, d.Day.String()+" "+d.Total.String())
			}
		}
		releases[strings.Join(days, ", ")] = true
	}
	whole, mixed := 0, 0
	for signature, n := range s.results {
		if releases[signature] {
			whole += n
		} else {
			mixed += n
		}
	}
	t.Logf("a reader that scans through `current` by DuckDB: %d reads were a release, %d were none and said nothing, %d failed", whole, mixed, len(s.failed))
	if len(s.failed) > 0 {
		t.Logf("the first failure: %v", s.failed[0])
	}
}
