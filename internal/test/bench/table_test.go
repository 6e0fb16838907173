package bench

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"daybook/internal/produce"
)

// TestTable measures every row and prints the table. It fails when a program does, never
// because a target is missed: figures depend on who else uses the machine.
func TestTable(t *testing.T) {
	if *curvesDir != "" {
		t.Skip("the curves are measured instead")
	}
	if testing.Short() {
		t.Skip("runs every program several times")
	}
	dir := t.TempDir()
	r := newReport(t)
	b := &workload{t: t, r: r, site: newSite(t, broker(t, dir), dir, "workload", 4)}
	b.fill()
	b.rebuild("≥ 55 % of the ceiling")
	b.firstRelease()
	b.grow(2 * *eventCount)
	b.corrections()
	b.grow(*stateCount)
	b.restart()
	b.rebuild("≥ 55 % of the ceiling")
	b.site.close()
	b.variants()
	rollup(t, r)
	encode(t, r)
	if *documentFile != "" {
		r.write(*documentFile)
	}
}

// workload is the site that most rows are of, and what has been measured on it.
type workload struct {
	t        *testing.T
	r        *report
	site     *site
	loads    []produce.GeneratorConfig // in the topic
	first    usage                     // ingest into an empty state
	ceiling  usage                     // beside it
	rebuilds []usage
}

// fill measures ingest into an empty state, beside the ceiling.
func (b *workload) fill() {
	n := *eventCount
	b.push(n)
	type round struct{ ceiling, ingest usage }
	var rounds []round
	for i := range *roundCount {
		s := *b.site
		if i > 0 { // into a state of its own
			s.state = fmt.Sprint(s.state, i)
			s.run("ingest", "init")
		}
		rounds = append(rounds, round{s.ceiling(), s.ingest()})
	}
	slices.SortFunc(rounds, func(a, b round) int {
		return cmp.Compare(a.ingest.wall.Seconds()/a.ceiling.wall.Seconds(), b.ingest.wall.Seconds()/b.ceiling.wall.Seconds())
	})
	middle := rounds[len(rounds)/2]
	b.first, b.ceiling = middle.ingest, middle.ceiling
	b.r.add(row{what: "ceiling: consume and decode alone, " + million(n), measured: figures(b.ceiling, n)})
	b.r.add(against(b.ceiling, n, row{what: "live ingest, random UUIDs, 2 % repeats, " + million(n), target: "≥ 45 % of the ceiling"}, b.first, 0.45))
	b.r.add(row{
		what: "its memory", measured: mebibytes(b.first.peak) + " at most", target: "≤ 1 GiB", verdict: judge(b.first.peak <= 1<<30),
	})
	each := float64(size(b.t, b.site.state)) / float64(n)
	b.r.add(row{what: "its state on disk, at rest", measured: fmt.Sprintf("%.0f bytes an event", each), target: "≤ 120", verdict: judge(each <= 120)})
}

// push adds n events with a seed of their own.
func (b *workload) push(n int64) {
	c := load(n, uint64(len(b.loads))+1, nil)
	b.loads = append(b.loads, c)
	b.site.push(c)
}

// figures are a rate and the CPU time behind it.
func figures(u usage, n int64) string { return thousands(u.rate(n)) + ", " + micros(u.cpuEach(n)) }

// against is a row whose rate is a share of the ceiling's.
func against(ceiling usage, n int64, r row, u usage, share float64) row {
	r.measured = figures(u, n)
	ratio := u.rate(n) / ceiling.rate(n)
	r.beside = fmt.Sprintf("ceiling %s: %s, of its CPU %.1f ×", thousands(ceiling.rate(n)), percent(ratio, 1), u.cpu.Seconds()/ceiling.cpu.Seconds())
	r.verdict = judge(ratio >= share)
	return r
}

// rebuild measures a rebuild of all that is in the topic.
func (b *workload) rebuild(target string) {
	n := b.site.records
	ceiling := b.site.ceiling()
	u := b.site.run("ingest", "rebuild")
	b.rebuilds = append(b.rebuilds, u)
	b.r.add(against(ceiling, n, row{what: "ingest rebuild, " + million(n), target: target}, u, 0.55))
	b.r.add(row{what: "its memory", measured: mebibytes(u.peak) + " at most", target: "≤ 1 GiB", verdict: judge(u.peak <= 1<<30)})
}

// firstRelease measures the first release, and rebuild and release beside DuckDB doing the same.
func (b *workload) firstRelease() {
	n := b.site.records
	u := b.site.publish()
	b.r.add(row{what: "first release of all datasets, " + million(n), measured: figures(u, n), beside: mebibytes(u.peak)})
	whole := b.rebuilds[0].wall + u.wall
	one := row{what: "rebuild, then first release", measured: seconds(whole), target: "faster than DuckDB"}
	if took, ok := duckRelease(b.t, []string{b.site.lines(b.loads[0])}, b.site.dir); ok {
		one.beside = fmt.Sprintf("DuckDB, from JSON lines: %s", seconds(took))
		one.verdict = judge(whole < took)
	} else {
		one.beside = noDuck
	}
	b.r.add(one)
}

// grow adds events until the state holds n, as many at a time as in the first row.
func (b *workload) grow(n int64) {
	var u usage
	for b.site.records < n {
		b.push(*eventCount)
		u = b.site.ingest()
	}
	if u.wall == 0 {
		return
	}
	ratio := u.rate(*eventCount) / b.first.rate(*eventCount)
	b.r.add(row{
		what:     fmt.Sprintf("live ingest on a state of %s", million(b.site.records-*eventCount)),
		measured: figures(u, *eventCount), beside: fmt.Sprintf("%s of the rate on an empty state; %s", percent(ratio, 1), mebibytes(u.peak)),
		target: "≥ 70 %", verdict: judge(ratio >= 0.7),
	})
}

// variants measures ingest of other loads into empty states.
func (b *workload) variants() {
	n := *eventCount
	for i, v := range []struct {
		name   string
		change func(*produce.GeneratorConfig)
	}{
		{"UUIDv7", func(c *produce.GeneratorConfig) { c.IDs = produce.TimeIDs }},
		{"ULIDs", func(c *produce.GeneratorConfig) { c.IDs = produce.ULIDs }},
		{"20 % repeats", func(c *produce.GeneratorConfig) { c.Duplicate = 0.2 }},
		{"20 % corrections that move the day or account", func(c *produce.GeneratorConfig) { c.Moved = 0.2 }},
	} {
		s := newSite(b.t, b.site.brokers, b.site.dir, fmt.Sprint("variant-", i), 4)
		s.push(load(n, 77, v.change))
		ceiling, u := s.ceiling(), s.ingest()
		half := u.rate(n) >= b.first.rate(n)/2
		one := against(ceiling, n, row{what: "live ingest, " + v.name, target: "≥ half of the first row"}, u, 0)
		one.verdict = judge(half)
		b.r.add(one)
		s.close()
	}
}

// restart measures a start after kill -9 up to the first record that it made durable. A journal has no more entries
// than these that are not folded, however many there ever were.
func (b *workload) restart() {
	entries := *journalCount
	b.site.push(load(2*entries, 1<<20, nil))
	b.site.ingest("--batch-records=2", "--linger=1ms")
	b.site.push(load(1000, 1<<20+1, nil))
	b.site.kill()
	b.site.push(load(1, 1<<20+2, nil))
	took := b.site.firstRecord()
	b.r.add(row{
		what:     fmt.Sprintf("start after kill -9, %s in the state, %d journal entries not folded", million(b.site.records), entries),
		measured: seconds(took) + " to the first record durable", target: "< 2 s to the first record consumed", verdict: judge(took < 2*time.Second),
	})
}
