//go:build cgo

package headline

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/billing"
	"daybook/internal/disk"
	"daybook/internal/ingest"
	"daybook/internal/lake"
	"daybook/internal/publish"
	"daybook/internal/state"
	"daybook/internal/statedir"
	"daybook/internal/test/oracle"
)

const (
	topic      = "billing"
	partitions = 3
)

// keptSeeds are logs that found something, tried each time: 22, where NULLs were published as empty strings.
var keptSeeds = []int{22}

// seeds is how many logs are tried: DAYBOOK_SEEDS, else few.
func seeds(t *testing.T) (from, to int) {
	if s := os.Getenv("DAYBOOK_SEEDS"); s != "" {
		first, last, ok := strings.Cut(s, "-")
		if !ok {
			first = "1"
			last = s
		}
		var err error
		if from, err = strconv.Atoi(first); err == nil {
			to, err = strconv.Atoi(last)
		}
		if err != nil {
			t.Fatalf("DAYBOOK_SEEDS=%s: want a number, or FROM-TO", s)
		}
		return from, to
	}
	if testing.Short() {
		return 1, 2
	}
	return 1, 12
}

// TestPublishedIsWhatTheLogSays draws a log and a course of events (what is
// sent when, where ingest is stopped, how large its writes are, when a release
// is made, by a run or by a backfill of some days) and compares every release,
// as DuckDB reads it, with the model.
func TestPublishedIsWhatTheLogSays(t *testing.T) {
	from, to := seeds(t)
	tried := slices.Clone(keptSeeds)
	for seed := from; seed <= to; seed++ {
		tried = append(tried, seed)
	}
	for _, seed := range tried {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			chance := rand.New(rand.NewPCG(uint64(seed), 1))
			sent := messages(partitions).Example(seed)
			p := newPipeline(t)
			for asOf := week.AddDate(0, 0, 3); ; asOf = asOf.Add(time.Duration(chance.IntN(48)) * time.Hour) {
				n := chance.IntN(len(sent) + 1)
				p.produce(sent[:n])
				sent = sent[n:]
				for range chance.IntN(3) {
					p.ingestFor(time.Duration(chance.IntN(30))*time.Millisecond, chance)
				}
				p.ingest(chance)
				p.publishOrBackfill(asOf, chance)
				p.compare(asOf)
				if len(sent) == 0 {
					break
				}
			}
			last := week.AddDate(0, 0, 30)
			p.publish(last)
			p.compare(last)
			p.publishNothing(last.AddDate(0, 0, 1))
		})
	}
}

// pipeline is a broker, a state and a lake, and the model of the log.
type pipeline struct {
	t      *testing.T
	dir    string
	kafka  ingest.Config
	config publish.Config
	client *kgo.Client
	model  *oracle.Model
	duck   *sql.DB
}

func newPipeline(t *testing.T) *pipeline {
	t.Helper()
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	p := &pipeline{t: t, dir: t.TempDir(), client: client, model: oracle.New(billing.DefaultRules(), topic), duck: duck(t)}
	p.config = publish.DefaultConfig()
	p.config.AllowEmptyDays = true
	p.kafka.Kafka.Brokers = broker.ListenAddrs()
	p.kafka.State = filepath.Join(p.dir, "state")
	p.kafka.Topics = []string{topic}
	p.kafka.Tuning = ingest.DefaultTuning()
	p.kafka.WatermarkInterval = 20 * time.Millisecond
	p.kafka.Linger = time.Millisecond
	if _, err := ingest.Init(t.Context(), p.kafka, ingest.RulesConfig{}, ingest.Deps{}); err != nil {
		t.Fatal(err)
	}
	return p
}

// produce sends messages, one after the other, and tells the model where they lie.
func (p *pipeline) produce(sent []message) {
	p.t.Helper()
	for _, m := range sent {
		r := &kgo.Record{Topic: topic, Partition: m.Partition, Timestamp: m.Time, Value: []byte(m.Value)}
		if m.Null {
			r.Value = nil
		}
		if err := p.client.ProduceSync(p.t.Context(), r).FirstErr(); err != nil {
			p.t.Fatal(err)
		}
		p.model.Add(oracle.Record{
			Partition: m.Partition, Offset: r.Offset, Timestamp: m.Time.UnixMilli(), Value: []byte(m.Value), Null: m.Null,
		})
	}
}

// ingest consumes all there is.
func (p *pipeline) ingest(chance *rand.Rand) {
	p.t.Helper()
	if err := p.run(p.t.Context(), chance, ingest.RunOptions{UntilCaughtUp: true, IdleTimeout: 30 * time.Second}); err != nil {
		p.t.Fatal(err)
	}
}

// ingestFor consumes for a while and is stopped wherever it is.
func (p *pipeline) ingestFor(d time.Duration, chance *rand.Rand) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), d)
	defer cancel()
	if err := p.run(ctx, chance, ingest.RunOptions{}); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		p.t.Fatal(err)
	}
}

func (p *pipeline) run(ctx context.Context, chance *rand.Rand, opts ingest.RunOptions) error {
	cfg := p.kafka
	cfg.BatchRecords = 1 + chance.IntN(40)
	// Some writes go through the WAL, some are handed over as tables.
	deps := ingest.Deps{State: state.Options{BulkRecords: 1 + chance.IntN(30), CacheBytes: 8 << 20, MemTableBytes: 1 << 20, FilterBytes: 1 << 20, GenerationEvents: 10}}
	g, err := ingest.New(cfg, ingest.RulesConfig{}, opts, deps)
	if err != nil {
		return err
	}
	return errors.Join(g.Run(ctx), g.Close())
}

func (p *pipeline) publisher(asOf time.Time) *publish.Publisher {
	cfg := p.config
	cfg.AsOf = publish.AsOf{Time: asOf}
	return publish.New(cfg, publish.Deps{
		Source: statedir.Dir{Path: p.kafka.State},
		Lake:   lake.Open(p.lake(), disk.OS(), time.Now),
	})
}

func (p *pipeline) publish(asOf time.Time) {
	p.t.Helper()
	if _, err := p.publisher(asOf).Run(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

// publishOrBackfill publishes by a run, or by a backfill of a few of the days that messages bill.
func (p *pipeline) publishOrBackfill(asOf time.Time, chance *rand.Rand) {
	p.t.Helper()
	if chance.IntN(2) == 0 {
		p.publish(asOf)
		return
	}
	from := billing.DayOf(week) + billing.Day(chance.IntN(5))
	window := publish.Window{From: from, To: from + billing.Day(chance.IntN(2))}
	if _, err := p.publisher(asOf).Backfill(p.t.Context(), window, false); err != nil {
		p.t.Fatal(err)
	}
}

// publishNothing sees that a run without a change makes no release.
func (p *pipeline) publishNothing(asOf time.Time) {
	p.t.Helper()
	report, err := p.publisher(asOf).Run(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	for _, tr := range report.Tenants {
		if tr.Outcome != publish.NothingNew {
			p.t.Errorf("tenant %s: %s, release %d, although nothing changed", tr.Tenant, tr.Outcome, tr.Release)
		}
	}
}

func (p *pipeline) lake() string { return filepath.Join(p.dir, "lake") }

// compare reads what current names, for every tenant, and asks the model and the auditor.
func (p *pipeline) compare(asOf time.Time) {
	p.t.Helper()
	modelTables := p.model.Tables()
	// The default cutoff is 02:00 on the next day.
	last := asOf.Add(-26 * time.Hour).Format(time.DateOnly)
	for _, tenant := range []string{"default", "other"} {
		want := expect(modelTables, tenant, last)
		dir, err := resolve(p.lake(), tenant)
		if err != nil {
			p.t.Fatal(err)
		}
		if dir == "" {
			if len(want["daily_account_cost"]) > 0 {
				p.t.Fatalf("as of %s: tenant %s has no release, the model says %v", asOf, tenant, want["daily_account_cost"])
			}
			continue
		}
		got, err := read(p.duck, dir)
		if err != nil {
			p.t.Fatal(err)
		}
		if lines := differences(got, want); len(lines) > 0 {
			p.t.Fatalf("as of %s, %s:\n%s", asOf.Format(time.RFC3339), dir, strings.Join(lines, "\n"))
		}
		p.audit(tenant)
	}
}
