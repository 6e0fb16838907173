package state

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/billing"
)

// generator makes batches like those of a busy topic: random UUIDs, 2 % of
// them sent again, 2,000 accounts, three days at a time.
type generator struct {
	rng    *rand.Rand
	offset int64
	old    []billing.Event
	repeat float64 // share of events sent again; 0: one in fifty
	move   float64 // share of events that a later version moves to another account
}

func (g *generator) batch(n int) *delivered {
	b := &delivered{Records: make([]Record, n)}
	from := g.offset
	for i := range b.Records {
		e := &b.Records[i].Event
		id := billing.EventID(fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", g.rng.Uint32(), g.rng.Uint32()&0xffff, g.rng.Uint32()&0xfff,
			0x8000|g.rng.Uint32()&0x3fff, g.rng.Uint64()&0xffffffffffff))
		source := billing.Source{Partition: 0, Offset: g.offset, RecordTime: 1735000000000 + g.offset}
		repeat := g.repeat
		if repeat == 0 {
			repeat = 0.02
		}
		if again := g.rng.Float64(); len(g.old) > 0 && again < repeat+g.move {
			*e = g.old[g.rng.IntN(len(g.old))]
			e.Version.Source = source
			if again >= repeat {
				e.Account = billing.AccountID(fmt.Sprintf("%012d", 100000000000+g.rng.IntN(2000)))
				e.Version.IngestedAt = 1735000000e9 + billing.Instant(g.offset)*1e6
			}
			g.offset++
			continue
		}
		*e = billing.Event{
			Tenant: "default", ID: id,
			Account:    billing.AccountID(fmt.Sprintf("%012d", 100000000000+g.rng.IntN(2000))),
			Service:    billing.ServiceName([...]string{"AmazonEC2", "AmazonS3", "AmazonRDS", "AWSLambda"}[g.rng.IntN(4)]),
			Day:        billing.Day(20000 + g.offset/dayEvents - g.rng.Int64N(3)),
			Cost:       billing.MoneyFromParts(0, uint64(g.rng.IntN(1e8))*1e12),
			Region:     billing.Region([...]string{"us-east-1", "eu-west-1"}[g.rng.IntN(2)]),
			Attributes: `{"resource":"i-0123456789abcdef0"}`,
			Version: billing.Version{IngestedAt: 1735000000e9 + billing.Instant(g.offset)*1e6,
				Source: source},
		}
		if i%16 == 0 || g.repeat+g.move > 0 {
			g.old = append(g.old, *e)
		}
		g.offset++
	}
	b.Advances = []Advance{advance(from, g.offset)}
	return b
}

// dayEvents is how many of them a day has.
const dayEvents = 50_000

// cpuTime is what the process has used: unlike the time that passes, it hardly
// depends on who else runs.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// diskStore makes a state on disk, which is closed when the benchmark ends.
func diskStore(b *testing.B, dir string, bulk int) *Store {
	b.Helper()
	o := Options{FS: vfs.Default, BulkRecords: bulk, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))}
	if err := Create(dir, testIdentity(), o); err != nil {
		b.Fatal(err)
	}
	s, err := Open(dir, o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

// BenchmarkApply fills a new state on disk. events/s is the figure; B/event is
// what the state takes on disk in the end, compactions not waited for; B/event-compacted is after all of them.
func BenchmarkApply(b *testing.B) {
	for _, bench := range []struct{ batch, bulk int }{{2_000, 1 << 30}, {100_000, 1 << 30}, {100_000, 1}, {250_000, 1}} {
		b.Run(fmt.Sprintf("batch=%d/tables=%t", bench.batch, bench.bulk == 1), func(b *testing.B) {
			dir := b.TempDir() + "/state"
			s := diskStore(b, dir, bench.bulk)
			g := &generator{rng: rand.New(rand.NewPCG(1, 2))}
			b.ResetTimer()
			var making, cpu time.Duration
			began := cpuTime(b)
			for range b.N {
				b.StopTimer()
				cpu = cpuTime(b)
				batch := g.batch(bench.batch)
				making += cpuTime(b) - cpu
				b.StartTimer()
				if _, err := s.Apply(batch.batch()); err != nil {
					b.Fatal(err)
				}
			}
			events := float64(b.N) * float64(bench.batch)
			b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
			// Compactions run on while a batch is made, and are not counted then.
			b.ReportMetric(float64(cpuTime(b)-began-making)/events, "cpu-ns/event")
			b.ReportMetric(float64(s.db.Metrics().DiskSpaceUsage())/float64(g.offset), "B/event")
			if err := s.db.Compact(b.Context(), []byte{0}, []byte{0xff}, false); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(s.db.Metrics().Total().TablesSize)/float64(g.offset), "B/event-compacted")
		})
	}
}

// BenchmarkApplyVersions fills a new state with events of which some were there before, at any time of the past:
// few (2 %), a fifth repeated, or a fifth moved to another account. events/s of the first is what the others are
// measured by.
func BenchmarkApplyVersions(b *testing.B) {
	const batch = 250_000
	for _, bench := range []struct {
		name         string
		repeat, move float64
	}{{"few", 0.02, 1e-9}, {"repeats", 0.2, 0}, {"moves", 0.02, 0.2}} {
		b.Run(bench.name, func(b *testing.B) {
			s := diskStore(b, b.TempDir()+"/state", 1)
			g := &generator{rng: rand.New(rand.NewPCG(1, 2)), repeat: bench.repeat, move: bench.move}
			b.ResetTimer()
			var making time.Duration
			began := cpuTime(b)
			for range b.N {
				b.StopTimer()
				cpu := cpuTime(b)
				records := g.batch(batch)
				packed := records.batch()
				making += cpuTime(b) - cpu
				b.StartTimer()
				if _, err := s.Apply(packed); err != nil {
					b.Fatal(err)
				}
			}
			events := float64(b.N) * batch
			b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(cpuTime(b)-began-making)/events, "cpu-ns/event")
			b.ReportMetric(float64(s.db.Metrics().DiskSpaceUsage())/float64(g.offset), "B/event")
		})
	}
}
