package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/test/oracle"
)

// row is one line of a delivery.
type row struct {
	id, account, day string
	cents            int64
}

// delivery writes rows as a file of JSON lines.
func delivery(t *testing.T, rows []row) string {
	t.Helper()
	var text strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&text, `{"event_id":%q,"account_id":%q,"service_name":"compute","usage_date":%q,"cost_usd":"%d.%02d"}`+"\n", r.id, r.account, r.day, r.cents/100, r.cents%100)
	}
	path := filepath.Join(t.TempDir(), "delivery.jsonl")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestKilledDeliveryDeletesNothing: a month is delivered, and then again with other ids in places and without some
// rows, by a produce that is killed several times each. As long as a row of the second delivery is not in the topic
// nothing is deleted; nothing of it ever is; and once a run finishes, the totals are the second file's.
func TestKilledDeliveryDeletesNothing(t *testing.T) {
	const (
		topic = "billing"
		kills = 4
		days  = "2025-07-01..2025-07-10"
	)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	addr := broker(t, topic, 3)
	p := newPlace(t, addr, topic)
	p.run(t, "ingest", "init")

	first := make([]row, 15_000)
	for i := range first {
		first[i] = row{fmt.Sprintf("item-%d", i), fmt.Sprintf("account-%d", rng.IntN(20)), fmt.Sprintf("2025-07-%02d", 1+rng.IntN(10)), rng.Int64N(100_000)}
	}
	second := make([]row, 0, len(first))
	held, gone := map[string]bool{}, map[string]bool{}
	for i, r := range first {
		switch {
		case rng.IntN(50) == 0:
			gone[r.id] = true
			r.id = fmt.Sprintf("renamed-%d", i)
		case rng.IntN(100) == 0:
			gone[r.id] = true
			continue
		case rng.IntN(20) == 0:
			r.cents++
		}
		held[r.id] = true
		second = append(second, r)
	}

	took := time.Second // that a push takes
	push := func(exported, file string, check func(deleted, pushed map[string]bool)) {
		load := []string{"--deliveries", filepath.Join(filepath.Dir(p.state), "deliveries"), "--exported-at", exported, "--replaces", days, file}
		for kill := range kills {
			run := p.command(t.Context(), "produce", load...)
			if err := run.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(rng.Int64N(int64(took))))
			_ = run.Process.Kill() // it may have finished
			ended := run.Wait() == nil
			deleted, pushed := arrivedOf(t, addr, topic, exported)
			switch {
			case ended:
				took = took * 2 / 3
			case len(pushed) == 0:
				took = took * 3 / 2
			}
			t.Logf("%s, kill %d: %d records pushed, %d deletions", exported, kill+1, len(pushed), len(deleted))
			check(deleted, pushed)
		}
		p.run(t, "produce", load...)
		deleted, pushed := arrivedOf(t, addr, topic, exported)
		t.Logf("%s, whole: %d records pushed, %d deletions", exported, len(pushed), len(deleted))
		check(deleted, pushed)
	}
	push("2025-08-02T06:00:00Z", delivery(t, first), func(deleted, _ map[string]bool) {
		if len(deleted) > 0 {
			t.Fatalf("the first delivery deleted %d events", len(deleted))
		}
	})
	p.run(t, "ingest", "run", "--until-caught-up")
	whole := false
	push("2025-08-03T06:00:00Z", delivery(t, second), func(deleted, pushed map[string]bool) {
		if len(deleted) > 0 && len(pushed) < len(held) {
			t.Errorf("%d events were deleted when %d of %d rows were pushed", len(deleted), len(pushed), len(held))
		}
		whole = len(deleted) == len(gone)
		for id := range deleted {
			if !gone[id] {
				t.Errorf("%s was deleted, which the second delivery has or the first did not have", id)
			}
		}
	})

	if !whole {
		t.Error("the finished delivery did not delete all ids that it does not have")
	}

	p.run(t, "ingest", "run", "--until-caught-up")
	p.run(t, "publisher", "run")
	want := map[oracle.Cell]oracle.Total{}
	for _, r := range second {
		at := oracle.Cell{Tenant: "default", Account: r.account, Day: r.day}
		w, ok := want[at]
		if !ok {
			w.USD = new(big.Rat)
		}
		w.USD.Add(w.USD, big.NewRat(r.cents, 100))
		w.Events++
		want[at] = w
	}
	_, accounts, _ := released(t, p.lake)
	agree(t, "daily_account_cost", accounts, want)
}

// TestLostDeliveriesAreRefused: a bill is delivered twice, the second time with all ids renamed, as
// AWS does, and the directory of deliveries is lost in between, or an older copy of it is there. The second delivery
// is refused until the directory is rebuilt, and the bill counts once.
func TestLostDeliveriesAreRefused(t *testing.T) {
	const topic = "billing"
	addr := broker(t, topic, 3)
	p := newPlace(t, addr, topic)
	p.run(t, "ingest", "init")
	bill := func(prefix string) string {
		rows := make([]row, 100)
		for i := range rows {
			rows[i] = row{fmt.Sprintf("%s-%d", prefix, i), "a", fmt.Sprintf("2025-01-%02d", 1+i%31), 100}
		}
		return delivery(t, rows)
	}
	dir := filepath.Join(filepath.Dir(p.state), "deliveries")
	load := func(exported, file string) []string {
		return []string{"--deliveries", dir, "--source", "provider", "--exported-at", exported, "--replaces", "2025-01-01..2025-01-31", file}
	}
	// Other producers push between and at the same time.
	var other strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&other, `{"event_id":"other-%d","account_id":"b","service_name":"s","usage_date":"2025-01-01","cost_usd":"1"}`+"\n", i)
	}
	events := filepath.Join(t.TempDir(), "events.jsonl")
	if err := os.WriteFile(events, []byte(other.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	p.run(t, "produce", events)
	p.run(t, "produce", load("2025-02-01T00:00:00Z", bill("first"))...)
	p.run(t, "produce", events)
	kept, older := dir+".kept", dir+".older"
	if err := os.CopyFS(older, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	p.run(t, "produce", load("2025-02-02T00:00:00Z", bill("second"))...)
	if err := os.Rename(dir, kept); err != nil {
		t.Fatal(err)
	}
	third := load("2025-03-01T00:00:00Z", bill("third"))
	refused := func(what string) {
		t.Helper()
		for _, args := range [][]string{third, append([]string{"--trust-deliveries"}, third...)} {
			_, errs, code := p.exit(t, "produce", args...)
			if code != 4 || !strings.Contains(errs, "index is not the newest") || !strings.Contains(errs, "--rebuild-deliveries") {
				t.Errorf("%s: exit code %d, %s", what, code, errs)
			}
		}
	}
	refused("lost")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(older, dir); err != nil {
		t.Fatal(err)
	}
	refused("an older copy")
	p.run(t, "produce", "--deliveries", dir, "--rebuild-deliveries")
	if out := p.run(t, "produce", third...); !strings.Contains(out, "100 deleted") {
		t.Errorf("after a rebuild: %s", out)
	}
	p.run(t, "ingest", "run", "--until-caught-up")
	p.run(t, "publisher", "run")
	_, accounts, _ := released(t, p.lake)
	total := new(big.Rat)
	for at, cell := range accounts {
		if at.Account == "a" {
			usd, _ := new(big.Rat).SetString(cell.usd)
			total.Add(total, usd)
		}
	}
	if total.Cmp(big.NewRat(100, 1)) != 0 {
		t.Errorf("the bill of 100 USD counts as %s", total.FloatString(2))
	}
}

// arrivedOf reads which events a delivery has in the topic, and which it deletes.
func arrivedOf(t *testing.T, addr, topic, exported string) (deleted, pushed map[string]bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	records := 0
	ends.Each(func(end kadm.ListedOffset) { records += int(end.Offset) })
	deleted, pushed = map[string]bool{}, map[string]bool{}
	for _, r := range readTopic(t, addr, topic, records) {
		var e struct {
			ID       string    `json:"event_id"`
			Op       string    `json:"op"`
			Ingested time.Time `json:"ingested_at"`
		}
		if err := json.Unmarshal(r.Value, &e); err != nil {
			t.Fatal(err)
		}
		switch {
		case e.Ingested.Format(time.RFC3339) != exported:
		case e.Op == "delete":
			deleted[e.ID] = true
		default:
			pushed[e.ID] = true
		}
	}
	return deleted, pushed
}
