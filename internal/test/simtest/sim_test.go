package simtest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// crashesPerLife is how many machines one seed lets crash.
const crashesPerLife = 40

// TestSimulation lives one life for each seed: those of testdata/seeds, which
// once found something, and a few more, or those of DAYBOOK_SIM_SEEDS (FROM-TO) alone.
// A seed fixes what is drawn, not how goroutines are scheduled.
func TestSimulation(t *testing.T) {
	seeds, crashes := seedsToRun(t), crashesPerLife
	switch {
	case os.Getenv("DAYBOOK_SIM_SEEDS") != "":
	case testing.Short():
		crashes /= 4
	default:
		crashes /= 2
	}
	started := time.Now()
	var sum counts
	// One bubble for all: libraries keep pools that must not cross two.
	synctest.Test(t, func(t *testing.T) {
		for _, seed := range seeds {
			w := newWorld(t, seed)
			w.life(crashes)
			w.close()
			sum.add(w.count)
			if t.Failed() {
				t.Fatalf("found by seed %d; again: make sim SEEDS=%d", seed, seed)
			}
		}
	})
	took := time.Since(started)
	t.Logf("seeds %v: %d crash-restarts in %s (%.0f a minute), %d records, %d releases, %d failing disks, %d broker faults", seeds,
		sum.crashes, took.Round(time.Millisecond), float64(sum.crashes)/took.Minutes(), sum.records, sum.releases, sum.refusals, sum.faults)
}

func (c *counts) add(d counts) {
	c.crashes += d.crashes
	c.records += d.records
	c.releases += d.releases
	c.refusals += d.refusals
	c.faults += d.faults
}

// seedsToRun are the seeds of this run.
func seedsToRun(t *testing.T) (seeds []uint64) {
	if s := os.Getenv("DAYBOOK_SIM_SEEDS"); s != "" {
		first, last, ok := strings.Cut(s, "-")
		if !ok {
			last = first
		}
		from, err := strconv.ParseUint(first, 10, 64)
		to, err2 := strconv.ParseUint(last, 10, 64)
		if err != nil || err2 != nil {
			t.Fatalf("DAYBOOK_SIM_SEEDS=%s: want a number, or FROM-TO", s)
		}
		for ; from <= to; from++ {
			seeds = append(seeds, from)
		}
		return seeds
	}
	kept, err := os.ReadFile("testdata/seeds")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(kept)) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		var seed uint64
		if _, err := fmt.Sscan(line, &seed); err != nil {
			t.Fatalf("testdata/seeds: %q: %v", line, err)
		}
		seeds = append(seeds, seed)
	}
	more := 3
	if testing.Short() {
		more = 1
	}
	for i := range more {
		seeds = append(seeds, uint64(i+1))
	}
	return seeds
}
