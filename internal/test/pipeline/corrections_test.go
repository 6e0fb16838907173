package pipeline

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/test/oracle"
)

const (
	correctedEvents   = 700
	correctedDays     = 7
	correctedAccounts = 6
)

// corrections sends ever newer versions of the same events. A burst concerns
// two neighbouring days, so that most files of a release are links.
type corrections struct {
	rng     *rand.Rand
	version int
	sent    int // records; read it once run has ended
}

func newCorrections(seed uint64) *corrections {
	return &corrections{rng: rand.New(rand.NewPCG(seed, 1))}
}

// all is one version of every event.
func (c *corrections) all() [][]byte {
	var values [][]byte
	for id := range correctedEvents {
		values = append(values, c.event(id))
	}
	return values
}

// burst is what changes at one time.
func (c *corrections) burst() [][]byte {
	day := c.rng.IntN(correctedDays)
	var values [][]byte
	for range 30 {
		id := c.rng.IntN(correctedEvents/correctedDays)*correctedDays + day
		switch r := c.rng.IntN(100); {
		case r < 3:
			values = append(values, fmt.Appendf(nil, `{"event_id":"e%d","op":"delete","ingested_at":%q}`, id, c.moment(c.version)))
		case r < 6: // quarantined, naming its account-day
			values = append(values, fmt.Appendf(nil, `{"event_id":"e%d","account_id":"a%d","service_name":"s","usage_date":"2025-01-%02d","cost_usd":"-1","ingested_at":%q}`,
				id, id%correctedAccounts, 1+day, c.moment(c.version)))
		case r < 10: // late, and older than what is there
			late := *c
			late.version = c.rng.IntN(c.version)
			values = append(values, late.event(id))
		default:
			values = append(values, c.event(id))
		}
	}
	return values
}

// event is a newer version of an event, on its day or moved to the next one.
func (c *corrections) event(id int) []byte {
	c.version++
	day := (id%correctedDays + c.rng.IntN(10)/9) % correctedDays
	return fmt.Appendf(nil, `{"event_id":"e%d","account_id":"a%d","service_name":"s%d","usage_date":"2025-01-%02d","cost_usd":"%d.%018d","ingested_at":%q}`,
		id, id%correctedAccounts, c.rng.IntN(3), 1+day, c.rng.IntN(1000), c.rng.Int64N(1e18), c.moment(c.version))
}

// moment is when a version was ingested.
func (*corrections) moment(version int) string {
	return time.Date(2025, 2, 1, 0, 0, version, 0, time.UTC).Format(time.RFC3339)
}

// run sends bursts until ctx ends.
func (c *corrections) run(ctx context.Context, cl *kgo.Client) error {
	for ctx.Err() == nil {
		pause(ctx, 150*time.Millisecond)
		if err := c.send(context.WithoutCancel(ctx), cl, c.burst()); err != nil {
			return err
		}
	}
	return nil
}

func (c *corrections) send(ctx context.Context, cl *kgo.Client, values [][]byte) error {
	records := make([]*kgo.Record, len(values))
	for i, value := range values {
		records[i] = &kgo.Record{Key: fmt.Appendf(nil, "%d", c.rng.Uint64()), Value: value}
	}
	c.sent += len(records)
	return cl.ProduceSync(ctx, records...).FirstErr()
}

// readTopic reads a topic from its beginning, by a consumer of its own.
func readTopic(t *testing.T, brokers, topic string, records int) []oracle.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	var log []oracle.Record
	for len(log) < records {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("read the topic back after %d of %d records: %v", len(log), records, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			log = append(log, oracle.Record{Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Value: r.Value})
		})
	}
	return log
}
