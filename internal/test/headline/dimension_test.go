//go:build cgo

package headline

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestDuckDBJoinsDimensions: a tenant's own columns and the rows of silent
// accounts are there for a query that joins them.
func TestDuckDBJoinsDimensions(t *testing.T) {
	p := newPipeline(t)
	write := func(name, text string) string {
		file := filepath.Join(p.dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	write("dimensions/default/dim_account.csv", "account_id,owner,cost centre\n001,Ada,0042\n003,Carl,\n004,Dora,1\n")
	p.config.Dimensions = filepath.Join(p.dir, "dimensions")
	p.config.ExpectAccounts = write("expected.csv", "account_id\n001\n003\n")
	event := func(id, account, cost string) message {
		return message{Time: time.Date(2025, 1, 2, 0, 0, 0, 0, time.UTC), Value: fmt.Sprintf(
			`{"event_id":%q,"account_id":%q,"service_name":"s","usage_date":"2025-01-01","cost_usd":%q}`, id, account, cost)}
	}
	p.produce([]message{event("a", "001", "1.5"), event("b", "002", "2")})
	p.ingest(rand.New(rand.NewPCG(1, 0)))
	p.publish(time.Date(2025, 1, 2, 3, 0, 0, 0, time.UTC))

	dir, err := resolve(p.lake(), "default")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := p.duck.Query(fmt.Sprintf(`SELECT concat_ws(' ', account_id, total_cost_usd::DECIMAL(38, 2), event_count, data_complete,
		coalesce("owner", 'NULL'), coalesce("cost centre", 'NULL'), typeof("cost centre"))
		FROM read_parquet('%[1]s/daily_account_cost/*/*.parquet', hive_partitioning = true) AS daily
		JOIN read_parquet('%[1]s/dim_account/*.parquet') AS accounts USING (tenant_id, account_id) ORDER BY account_id`, dir))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		got = append(got, line)
	}
	want := []string{"001 1.50 1 true Ada 0042 VARCHAR", "002 2.00 1 true NULL NULL VARCHAR", "003 0.00 0 false Carl NULL VARCHAR"}
	if err := rows.Err(); err != nil || !slices.Equal(got, want) {
		t.Fatalf("%q, %v; want %q", got, err, want)
	}
	p.audit("default")
}
