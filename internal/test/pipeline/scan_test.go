//go:build cgo

package pipeline

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestScanThroughCurrentIsNoRelease shows what docs/format-release.md warns of: a job that goes
// through `current` instead of resolving it once reads two releases, with an error or without, when
// the switch comes in between. The job that resolved reads one.
func TestScanThroughCurrentIsNoRelease(t *testing.T) {
	const topic = "billing"
	addr := broker(t, topic, 1)
	p := newPlace(t, addr, topic)
	p.run(t, "ingest", "init")
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	// publish makes a release after these versions of events: id, day, cost.
	publish := func(versions ...[3]int) {
		t.Helper()
		for _, v := range versions {
			value := fmt.Appendf(nil, `{"event_id":"e%d","account_id":"a","service_name":"s","usage_date":"2025-01-%02d","cost_usd":%d}`, v[0], v[1], v[2])
			if err := client.ProduceSync(t.Context(), &kgo.Record{Value: value}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		p.run(t, "ingest", "run", "--until-caught-up")
		p.run(t, "publisher", "run")
	}
	db := duck(t)
	current := filepath.Join(p.lake, "default", "current")
	resolved := func() string { return strings.TrimSpace(p.run(t, "publisher", "path")) }

	publish([3]int{1, 1, 5}, [3]int{2, 1, 1}, [3]int{3, 2, 7})
	t.Run("two queries of one job", func(t *testing.T) {
		once := resolved()
		accounts := total(t, db, "total_cost_usd", "'"+current+"/daily_account_cost/*/*.parquet'")
		publish([3]int{3, 2, 9})
		events := total(t, db, "cost_usd", "'"+current+"/normalized_billing_events/*/*.parquet'")
		if accounts != "13" || events != "15" {
			t.Errorf("through current, account-days are %s and events %s; the releases' totals are 13 and 15", accounts, events)
		}
		if got := total(t, db, "cost_usd", "'"+once+"/normalized_billing_events/*/*.parquet'"); got != "13" {
			t.Errorf("events of the release that was resolved are %s", got)
		}
	})
	t.Run("list, then open", func(t *testing.T) {
		once := resolved()
		listed := list(t, current+"/daily_account_cost/*/*.parquet")
		listedOnce := list(t, once+"/daily_account_cost/*/*.parquet")
		publish([3]int{3, 2, 11})
		_, err := scanDays(db, listed)
		if err == nil || !strings.Contains(err.Error(), "IO Error") || !strings.Contains(err.Error(), "usage_date=2025-01-02/part-000002-0.parquet") {
			t.Errorf("a file that only the release before has, read through current: %v", err)
		}
		if got := total(t, db, "total_cost_usd", listedOnce); got != "15" {
			t.Errorf("the resolved release sums to %s", got)
		}
	})
	t.Run("list days, then their files", func(t *testing.T) {
		once := resolved()
		days, err := filepath.Glob(current + "/daily_account_cost/*")
		if err != nil {
			t.Fatal(err)
		}
		publish([3]int{1, 3, 5}) // moves 5 USD from the first day to a day that was not there
		var patterns []string
		for _, day := range days {
			patterns = append(patterns, day+"/*.parquet")
		}
		mixed := total(t, db, "total_cost_usd", list(t, patterns...))
		for _, dir := range []string{once, resolved()} {
			if got := total(t, db, "total_cost_usd", "'"+dir+"/daily_account_cost/*/*.parquet'"); got != "17" {
				t.Errorf("%s sums to %s", filepath.Base(dir), got)
			}
		}
		if mixed != "12" {
			t.Errorf("through current, the sum is %s; both releases' is 17", mixed)
		}
	})
}

// list is what patterns match, as DuckDB's list of files.
func list(t *testing.T, patterns ...string) string {
	t.Helper()
	var names []string
	for _, p := range patterns {
		matches, err := filepath.Glob(p)
		if err != nil || len(matches) == 0 {
			t.Fatalf("%s matches %v, %v", p, matches, err)
		}
		names = append(names, matches...)
	}
	return "['" + strings.Join(names, "', '") + "']"
}

// total is the sum of a column.
func total(t *testing.T, db *sql.DB, column, files string) string {
	t.Helper()
	var usd string
	query := "SELECT sum(" + column + ")::VARCHAR FROM read_parquet(" + files + ", hive_partitioning = true)"
	if err := db.QueryRow(query).Scan(&usd); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return sum{usd: "0"}.plus(sum{usd: usd}).usd
}
