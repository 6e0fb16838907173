package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"daybook/internal/test/chart"
)

// TestCurves measures how the cost grows, and draws it.
func TestCurves(t *testing.T) {
	out := *curvesDir
	if out == "" {
		t.Skip("make bench-curves measures them")
	}
	out, err := filepath.Abs(filepath.Join(root(t), out))
	if err != nil {
		t.Fatal(err)
	}
	makeDir(t, out)
	dir := t.TempDir()
	brokers := broker(t, dir)
	c := &curves{t: t, brokers: brokers, dir: dir, out: out}
	c.state()
	c.partitions()
	c.batches()
}

type curves struct {
	t                 *testing.T
	brokers, dir, out string
}

// rates is a curve of an ingest beside its ceiling.
type rates struct{ ingest, ceiling []chart.Point }

func (r *rates) add(x float64, n int64, ingest, ceiling usage) {
	r.ingest = append(r.ingest, chart.Point{x, ingest.rate(n)})
	r.ceiling = append(r.ceiling, chart.Point{x, ceiling.rate(n)})
}

func (c *curves) draw(name, title, x string, scale chart.Scale, r rates) {
	c.save(name, &chart.Chart{
		Title: title, X: x, XScale: scale, Y: "throughput, events/s",
		Series: []chart.Series{{Name: "ingest", Points: r.ingest}, {Name: "ceiling: consume and decode only", Points: r.ceiling}},
	})
}

func (c *curves) save(name string, drawn *chart.Chart) {
	c.t.Helper()
	if err := drawn.Save(c.out, name); err != nil {
		c.t.Fatal(err)
	}
}

// state measures ingest on a growing state, corrections on it, and the memory of one
// ingest that reads it all.
func (c *curves) state() {
	b := &workload{t: c.t, r: newReport(c.t), site: newSite(c.t, c.brokers, c.dir, "state", 4)}
	var r rates
	var ceiling usage
	for b.site.records < *stateCount {
		b.push(*eventCount)
		if ceiling.wall == 0 {
			ceiling = b.site.ceiling()
		}
		u := b.site.ingest()
		r.add(float64(b.site.records-*eventCount)+1, *eventCount, u, ceiling)
		fmt.Fprintf(os.Stdout, "state of %d: %s\n", b.site.records, figures(u, *eventCount))
	}
	c.draw("ingest-by-state", "Live ingest of "+million(*eventCount)+" events by events already in the state", "events already in the state", chart.Linear, r)

	b.site.publish()
	var dirty []chart.Point
	for _, n := range []int{1, 10, 100, 1000, 10_000} {
		u := b.correct(b.write(b.scattered(n, n)), n)
		dirty = append(dirty, chart.Point{float64(n), u.wall.Seconds()})
		fmt.Fprintf(os.Stdout, "%d corrections: %s\n", n, seconds(u.wall))
	}
	c.save("publish-by-corrections", &chart.Chart{
		Title: fmt.Sprintf("Duration of a publisher run by corrected events (%d days, %d accounts, %s events)", days, accounts, million(b.site.records)),
		X:     "corrected events, one per account-day (log scale)", XScale: chart.Logarithmic, Y: "duration, s",
		Series: []chart.Series{{Name: "publisher run", Points: dirty}},
	})

	one := *b.site
	one.state = filepath.Join(one.dir, "whole")
	one.run("ingest", "init")
	u := one.ingest()
	c.save("ingest-memory", &chart.Chart{
		Title: "Resident memory of one ingest of " + million(b.site.records) + " events",
		X:     "time since start, s", XScale: chart.Linear, Y: "resident memory, MiB",
		Series: []chart.Series{{Name: "ingest", Points: perSecond(u.memory)}},
	})
	b.site.close()
}

// partitions measures ingest by how many partitions the topic has.
func (c *curves) partitions() {
	var r rates
	for _, n := range []int{1, 4, 16} {
		s := newSite(c.t, c.brokers, c.dir, fmt.Sprint("partitions-", n), n)
		s.push(load(*eventCount, 5, nil))
		u, ceiling := s.ingest(), s.ceiling()
		r.add(float64(n), *eventCount, u, ceiling)
		fmt.Fprintf(os.Stdout, "%d partitions: %s\n", n, figures(u, *eventCount))
		s.close()
	}
	c.draw("ingest-by-partitions", "Live ingest of "+million(*eventCount)+" events by partitions of the topic", "partitions (log scale)", chart.Logarithmic, r)
}

// batches measures ingest by the most records in one write.
func (c *curves) batches() {
	var r rates
	s := newSite(c.t, c.brokers, c.dir, "batches", 4)
	s.push(load(*eventCount, 6, nil))
	ceiling := s.ceiling()
	for _, n := range []int{1_000, 10_000, 50_000, 100_000, 250_000, 500_000} {
		one := *s
		one.state = filepath.Join(s.dir, fmt.Sprint("state-", n))
		one.run("ingest", "init")
		u := one.ingest(fmt.Sprintf("--batch-records=%d", n), "--batch-bytes=1000000000")
		r.add(float64(n), *eventCount, u, ceiling)
		fmt.Fprintf(os.Stdout, "batches of %d: %s, %s\n", n, figures(u, *eventCount), mebibytes(u.peak))
	}
	c.draw("ingest-by-batch", "Live ingest of "+million(*eventCount)+" events by records per write", "records per write, --batch-records (log scale)", chart.Logarithmic, r)
	s.close()
}

// perSecond keeps the first of the points of each second.
func perSecond(points []chart.Point) []chart.Point {
	var kept []chart.Point
	for _, p := range points {
		if len(kept) == 0 || int(p[0]) != int(kept[len(kept)-1][0]) {
			kept = append(kept, p)
		}
	}
	return kept
}
