//go:build cgo

package headline

import (
	"encoding/csv"
	"fmt"
	"log/slog"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/internal/delivery"
	"daybook/internal/produce"
)

// line is one line item of a generated Cost and Usage Report.
type line struct{ item, interval, account, product, cost string }

func (l line) day() string { return l.interval[:len(time.DateOnly)] }

// bill is a month of line items: four accounts, three products, one each three hours.
func bill(chance *rand.Rand) []line {
	var lines []line
	for hour := time.Date(2025, 7, 1, 0, 0, 0, 0, time.UTC); hour.Month() == time.July; hour = hour.Add(3 * time.Hour) {
		interval := hour.Format(time.RFC3339) + "/" + hour.Add(3*time.Hour).Format(time.RFC3339)
		for a := range 4 {
			for p := range 3 {
				cost := fmt.Sprintf("%d.%010dE-%d", chance.IntN(10), chance.IntN(1e9), chance.IntN(4))
				lines = append(lines, line{fmt.Sprintf("item-%d-%d", a, p), interval, fmt.Sprintf("00%d", a), fmt.Sprintf("Product %d", p), cost})
			}
		}
	}
	return lines
}

// report writes line items as a report.
func report(t *testing.T, lines []line) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "cur.csv")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w := csv.NewWriter(f)
	w.Write([]string{"identity/LineItemId", "identity/TimeInterval", "lineItem/UsageAccountId", "lineItem/LineItemType", "product/ProductName", "lineItem/CurrencyCode", "lineItem/UnblendedCost"})
	for _, l := range lines {
		w.Write([]string{l.item, l.interval, l.account, "Usage", l.product, "USD", l.cost})
	}
	w.Flush()
	if err := w.Error(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	return name
}

// deliver pushes a report as the content of July.
func (p *pipeline) deliver(lines []line, exportedAt string) produce.Summary {
	p.t.Helper()
	sink, err := produce.NewPusher(p.t.Context(), p.kafka.Kafka, topic, 0, slog.New(slog.DiscardHandler))
	if err != nil {
		p.t.Fatal(err)
	}
	defer sink.Close()
	var july delivery.Window
	if err := july.UnmarshalText([]byte("2025-07-01..2025-07-31")); err != nil {
		p.t.Fatal(err)
	}
	l := produce.Load{
		Config: produce.Config{ExportedAt: exportedAt}, Files: []string{report(p.t, lines)}, Sink: sink,
		Delivery: &produce.Delivery{
			DeliveryConfig: produce.DeliveryConfig{Dir: filepath.Join(p.dir, "deliveries"), Replaces: &july, MaxShrink: 50},
			Topic:          topic, TopicID: sink.TopicID(), Log: sink,
		},
	}
	sum, err := l.Run(p.t.Context(), time.Now())
	if err != nil {
		p.t.Fatal(err)
	}
	return sum
}

// holds checks that the newest release has the totals of the lines up to a day, and
// that its ledger adds up to it.
func (p *pipeline) holds(lines []line, last string) {
	p.t.Helper()
	totals, counts := map[string]*big.Rat{}, map[string]int{}
	for _, l := range lines {
		if l.day() > last {
			continue
		}
		cost, ok := new(big.Rat).SetString(l.cost) // ten decimals at least and thirteen at most: none is rounded
		if !ok {
			p.t.Fatalf("cost %q", l.cost)
		}
		key := l.day() + " " + l.account
		if totals[key] == nil {
			totals[key] = new(big.Rat)
		}
		totals[key].Add(totals[key], cost)
		counts[key]++
	}
	dir, err := resolve(p.lake(), "default")
	if err != nil {
		p.t.Fatal(err)
	}
	got, err := read(p.duck, dir)
	if err != nil {
		p.t.Fatal(err)
	}
	want := tables{"daily_account_cost": {}, "account_day_changes": {}}
	for key, sum := range totals {
		want["daily_account_cost"][key] = fmt.Sprintf("%s %d true", sum.FloatString(18), counts[key])
		want["account_day_changes"][key] = sum.FloatString(18)
	}
	if lines := differences(got, want); len(lines) > 0 {
		p.t.Fatalf("%s:\n%s", dir, strings.Join(lines, "\n"))
	}
	p.audit("default")
}

// TestDeliveriesAreSnapshots: a month is delivered as far as the 15th, and then
// whole, with ids renamed and rows dropped; the totals are the second file's,
// and the ledger says what the second delivery moved. The other order gives the
// same modelTables.
func TestDeliveriesAreSnapshots(t *testing.T) {
	const seed = 4
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	whole := bill(chance)
	var cut []line
	for _, l := range whole {
		if l.day() <= "2025-07-15" {
			cut = append(cut, l)
		}
	}
	second := slices.Clone(whole)
	chance.Shuffle(len(second), func(i, j int) { second[i], second[j] = second[j], second[i] })
	second = second[:len(second)-100]
	renamed := 0
	for i := range second {
		if chance.IntN(100) == 0 {
			second[i].item = "renamed-" + second[i].item
			renamed++
		}
	}
	has := map[line]bool{}
	for _, l := range second {
		has[line{item: l.item, interval: l.interval}] = true
	}
	gone := int64(0)
	for _, l := range cut {
		if !has[line{item: l.item, interval: l.interval}] {
			gone++
		}
	}
	t.Logf("%d rows, cut to %d; then %d, %d of them renamed; %d ids of the first are gone", len(whole), len(cut), len(second), renamed, gone)

	p := newPipeline(t)
	if sum := p.deliver(cut, "2025-07-16T06:00:00Z"); sum.Pushed != int64(len(cut)) || sum.Deleted != 0 {
		t.Fatalf("%+v", sum)
	}
	p.ingest(chance)
	p.publish(time.Date(2025, 7, 17, 3, 0, 0, 0, time.UTC))
	p.holds(cut, "2025-07-16")

	if sum := p.deliver(second, "2025-08-02T06:00:00Z"); sum.Deleted != gone {
		t.Fatalf("%+v, want %d deleted", sum, gone)
	}
	p.ingest(chance)
	last := time.Date(2025, 8, 3, 3, 0, 0, 0, time.UTC)
	p.publish(last)
	p.holds(second, "2025-07-31")

	// Both once more: nothing is pushed of the older, the newer changes nothing.
	if sum := p.deliver(cut, "2025-07-16T06:00:00Z"); sum.Newer != int64(len(cut)) || sum.Pushed != 0 {
		t.Fatalf("%+v", sum)
	}
	p.deliver(second, "2025-08-02T06:00:00Z")
	p.ingest(chance)
	p.publishNothing(last)

	other := newPipeline(t)
	other.deliver(second, "2025-08-02T06:00:00Z")
	other.deliver(cut, "2025-07-16T06:00:00Z")
	other.ingest(chance)
	other.publish(last)
	other.holds(second, "2025-07-31")
}
