package ingest

import (
	"errors"
	"fmt"
	"time"

	"daybook/internal/kafka"
)

// Config is the configuration of a consumer.
type Config struct {
	Kafka kafka.Config `embed:""`

	State  string   `help:"State directory." env:"DAYBOOK_STATE" placeholder:"DIR" required:""`
	Topics []string `name:"topic" help:"Topic of billing events; repeatable." env:"DAYBOOK_TOPIC" placeholder:"NAME"`

	Tuning `embed:""`
}

// Tuning has bounds of memory and intervals. It does not affect the numbers.
type Tuning struct {
	BatchRecords      int           `help:"Most records in one write." default:"500000" env:"DAYBOOK_BATCH_RECORDS" group:"Tuning"`
	BatchBytes        int64         `help:"Most bytes of records in one write." default:"167772160" env:"DAYBOOK_BATCH_BYTES" group:"Tuning"`
	Linger            time.Duration `help:"How long a write may wait for more records when caught up." default:"250ms" env:"DAYBOOK_LINGER" group:"Tuning"`
	FetchBytes        int32         `help:"Most bytes that one fetch asks a broker for." default:"4194304" env:"DAYBOOK_FETCH_BYTES" group:"Tuning"`
	DecompressBytes   int           `help:"Most bytes that one batch of the topic may decompress to." default:"67108864" env:"DAYBOOK_DECOMPRESS_BYTES" group:"Tuning"`
	WatermarkInterval time.Duration `help:"How often the end offsets of the partitions are listed: the resolution of the caught-up watermark." default:"5s" env:"DAYBOOK_WATERMARK_INTERVAL" group:"Tuning"`
	Group             string        `help:"Consumer group under which positions are mirrored for lag tools; it is never read. Empty: none." default:"daybook-ingest" env:"DAYBOOK_GROUP" group:"Tuning"`
	CheckpointMaxAge  time.Duration `help:"Age at which a checkpoint that its publisher left behind is removed." default:"6h" env:"DAYBOOK_CHECKPOINT_MAX_AGE" group:"Tuning"`
}

// DefaultTuning returns the defaults in the tags of Tuning, for callers without flags.
func DefaultTuning() Tuning {
	return Tuning{
		BatchRecords: 500_000, BatchBytes: 160 << 20, Linger: 250 * time.Millisecond, FetchBytes: 4 << 20,
		DecompressBytes: 64 << 20, WatermarkInterval: 5 * time.Second, Group: "daybook-ingest", CheckpointMaxAge: 6 * time.Hour,
	}
}

// Validate returns all faults in one error.
func (c *Config) Validate() error {
	faults := []error{c.Kafka.Validate(), c.Tuning.Validate()}
	if c.State == "" {
		faults = append(faults, errors.New("--state is empty: name the state directory"))
	}
	seen := map[string]bool{}
	for _, t := range c.Topics {
		if t == "" {
			faults = append(faults, errors.New("--topic is empty: name a topic"))
		} else if seen[t] {
			faults = append(faults, fmt.Errorf("--topic %s is given twice", t))
		}
		seen[t] = true
	}
	return errors.Join(faults...)
}

// Validate returns all faults in one error.
func (t *Tuning) Validate() error {
	var faults []error
	positive := func(flag string, ok bool) {
		if !ok {
			faults = append(faults, fmt.Errorf("%s must be greater than 0", flag))
		}
	}
	positive("--batch-records", t.BatchRecords > 0)
	positive("--batch-bytes", t.BatchBytes > 0)
	positive("--linger", t.Linger > 0)
	positive("--fetch-bytes", t.FetchBytes > 0)
	positive("--decompress-bytes", t.DecompressBytes > 0)
	positive("--watermark-interval", t.WatermarkInterval > 0)
	positive("--checkpoint-max-age", t.CheckpointMaxAge > 0)
	return errors.Join(faults...)
}
