package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"daybook/internal/produce"
)

// corrections measures whole runs of the publisher after a few events were corrected, beside DuckDB
// keeping the same events in a table.
func (b *workload) corrections() {
	b.site.publish()
	all := b.recompute()
	var lines []string
	for i, c := range b.loads {
		s := *b.site
		s.dir = filepath.Join(b.site.dir, fmt.Sprint("lines", i))
		makeDir(b.t, s.dir)
		lines = append(lines, s.lines(c))
	}
	duck := newDuckBooks(b.t, lines, b.site.dir)
	defer duck.close()
	for _, n := range []int{1, 10, 1000} {
		target, factor := "twice as fast as DuckDB", 2.0
		if n == 1000 {
			target, factor = "faster than DuckDB", 1
		}
		var ours, cpu, theirs []time.Duration
		var peak int64
		for round := range *roundCount {
			file := b.write(b.scattered(n, round))
			u := b.correct(file, n)
			ours, cpu, peak = append(ours, u.wall), append(cpu, u.cpu), max(peak, u.peak)
			theirs = append(theirs, duck.correct(file))
		}
		one := row{
			what:     fmt.Sprintf("publisher run after %d corrections over %d days × %d accounts × %s", n, days, accounts, million(b.site.records)),
			measured: fmt.Sprintf("%s, %s of CPU, %s", seconds(median(ours)), seconds(median(cpu)), mebibytes(peak)), target: target + ", ≤ 512 MiB", beside: noDuck,
		}
		if duck.there() {
			ratio := median(theirs).Seconds() / median(ours).Seconds()
			one.beside = fmt.Sprintf("DuckDB's table: %s, %.1f ×", seconds(median(theirs)), ratio)
			one.verdict = judge(ratio >= factor && peak <= 512<<20)
		}
		b.r.add(one)
	}
	var took, cpu []time.Duration
	var accounts, n int
	for round := range *roundCount {
		events := b.clustered(1000, 20, round)
		n, accounts = len(events), 20
		u := b.correct(b.write(events), n)
		took, cpu = append(took, u.wall), append(cpu, u.cpu)
	}
	ratio := all.Seconds() / median(took).Seconds()
	b.r.add(row{
		what:     fmt.Sprintf("the same after %d corrections in %d accounts of the last 3 days", n, accounts),
		measured: fmt.Sprintf("%s, %s of CPU", seconds(median(took)), seconds(median(cpu))), beside: fmt.Sprintf("everything recomputed: %s, %.1f ×", seconds(all), ratio),
		target: "≥ 20 × faster", verdict: judge(ratio >= 20),
	})
}

// recompute is how long a release of everything takes, into a lake of its own.
func (b *workload) recompute() time.Duration {
	s := *b.site
	s.lake = filepath.Join(s.dir, "other-lake")
	u := s.publish()
	if err := os.RemoveAll(s.lake); err != nil {
		b.t.Fatal(err)
	}
	return u.wall
}

// correct has a file of corrections ingested and measures the publisher's run after it.
func (b *workload) correct(file string, n int) usage {
	b.site.pushFile(file, n)
	b.site.ingest()
	return b.site.publish()
}

// scattered returns corrections of n events of all days and accounts.
func (b *workload) scattered(n, round int) [][]byte {
	c := b.loads[0]
	g := produce.NewGenerator(c)
	events := make([][]byte, n)
	for i := range events {
		at := (int64(i)*c.Count + c.Count/3 + int64(round)) / int64(n)
		_, event := g.Record(at % c.Count)
		events[i] = b.corrected(event, round)
	}
	return events
}

// clustered are corrections of at most n events in a few accounts of the last three days.
func (b *workload) clustered(n, accounts, round int) [][]byte {
	c := b.loads[0]
	g := produce.NewGenerator(c)
	first := time.Date(2025, time.January, 1+days-3, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
	seen := map[string]bool{}
	var events [][]byte
	for i := c.Count * (days - 3) / days; i < c.Count && len(events) < n; i++ {
		_, event := g.Record(i)
		if textBetween(event, `"usage_date":"`, `"`) < first {
			continue // a repeat of an older event
		}
		account := textBetween(event, `"account_id":"`, `"`)
		if len(seen) < accounts {
			seen[account] = true
		}
		if seen[account] {
			events = append(events, b.corrected(event, 100+round))
		}
	}
	return events
}

// corrected is an event's next version: other money, later.
func (b *workload) corrected(event []byte, round int) []byte {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(event, &members); err != nil {
		b.t.Fatal(err)
	}
	members["cost_usd"] = fmt.Appendf(nil, "%d.25", round+1)
	members["ingested_at"] = fmt.Appendf(nil, `"2025-06-01T00:%02d:%02d.000000Z"`, round/60, round%60)
	text, err := json.Marshal(members)
	if err != nil {
		b.t.Fatal(err)
	}
	return text
}

// write makes a file of JSON lines.
func (b *workload) write(events [][]byte) string {
	path := filepath.Join(b.site.dir, "corrections.jsonl")
	if err := os.WriteFile(path, append(bytes.Join(events, []byte("\n")), '\n'), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

func textBetween(b []byte, before, after string) string {
	_, rest, _ := bytes.Cut(b, []byte(before))
	text, _, _ := bytes.Cut(rest, []byte(after))
	return string(text)
}

func median(all []time.Duration) time.Duration {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}
