package pipeline

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestKilledRebuild kills a rebuild at moments that nothing announces. The old state stays as it is, and the next
// rebuild, which is let be, makes one that equals it and leaves nothing of the others.
func TestKilledRebuild(t *testing.T) {
	const kills = 8
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	p := newPlace(t, broker(t, "billing", 4), "billing")
	p.run(t, "ingest", "init")
	p.run(t, "produce", "--generate", "--count=60000", "--event-bytes=300", "--from=2025-01-01", "--days=9",
		"--corrected=0.1", "--moved=0.1", "--broken=0.02", "--duplicate=0.1")
	p.run(t, "ingest", "run", "--until-caught-up")
	began := time.Now()
	p.run(t, "ingest", "rebuild", "--verify")
	whole := time.Since(began)
	for range kills {
		c := p.command(t.Context(), "ingest", "rebuild", "--memory-bytes=16777216")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rng.Int64N(int64(whole))))
		_ = c.Process.Kill() // unless it has ended by then
		_ = c.Wait()
		p.run(t, "ingest", "check")
		if got := delivered(t, p.state); got != 60000 {
			t.Fatalf("the state counts %d records", got)
		}
	}
	p.run(t, "ingest", "rebuild", "--verify")
	p.run(t, "ingest", "check")
	for _, name := range []string{"db.rebuild", "tables.rebuild"} {
		if _, err := os.Stat(filepath.Join(p.state, name)); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", name, err)
		}
	}
}
