package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
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
type rates struct{ ingest, ceiling []point }

func (r *rates) add(x float64, n int64, ingest, ceiling usage) {
	r.ingest = append(r.ingest, point{x, ingest.rate(n)})
	r.ceiling = append(r.ceiling, point{x, ceiling.rate(n)})
}

func (c *curves) draw(name, title, x string, log bool, r rates) {
	p := plot{title: title, x: x, y: "events a second", logX: log, lines: []line{{"ingest", r.ingest}, {"consume and decode", r.ceiling}}}
	p.write(c.t, filepath.Join(c.out, name+".svg"))
}

// state measures ingest on a growing state, corrections on it, and the memory of one
// ingest that reads it all.
func (c *curves) state() {
	b := &books{t: c.t, r: newReport(c.t), site: newSite(c.t, c.brokers, c.dir, "state", 4)}
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
	c.draw("ingest-by-state", "Live ingest of "+million(*eventCount)+" events, by events already in the state", "events in the state", false, r)

	b.site.publish()
	var dirty []point
	for _, n := range []int{1, 10, 100, 1000, 10_000} {
		u := b.correct(b.write(b.scattered(n, n)), n)
		dirty = append(dirty, point{float64(n), u.wall.Seconds()})
		fmt.Fprintf(os.Stdout, "%d corrections: %s\n", n, seconds(u.wall))
	}
	p := plot{
		title: fmt.Sprintf("A publisher run by corrections scattered over %d days × %d accounts × %s", days, accounts, million(b.site.records)),
		x:     "corrected events, as many account-days", y: "seconds", logX: true, lines: []line{{"publisher run", dirty}},
	}
	p.write(c.t, filepath.Join(c.out, "publish-by-corrections.svg"))

	one := *b.site
	one.state = filepath.Join(one.dir, "whole")
	one.run("ingest", "init")
	u := one.ingest()
	p = plot{title: "Memory of one ingest of " + million(b.site.records) + " events", x: "seconds", y: "MiB resident", lines: []line{{"ingest", u.memory}}}
	p.write(c.t, filepath.Join(c.out, "ingest-memory.svg"))
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
	c.draw("ingest-by-partitions", "Live ingest of "+million(*eventCount)+" events, by partitions of the topic", "partitions", true, r)
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
	c.draw("ingest-by-batch", "Live ingest of "+million(*eventCount)+" events, by the most records in one write", "records in a write", true, r)
	s.close()
}
