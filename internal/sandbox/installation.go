package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"daybook/internal/billing"
	"daybook/internal/disk"
	"daybook/internal/ingest"
	"daybook/internal/kafka"
	"daybook/internal/lake"
	"daybook/internal/produce"
	"daybook/internal/publish"
	"daybook/internal/state"
	"daybook/internal/statedir"
)

// topicName is the topic of a sandbox.
const topicName = "billing"

// idleTimeout is the time without progress after which an ingest gives up.
const idleTimeout = 30 * time.Second

// installation is a complete Daybook in one directory, with subdirectories for broker, state and lake.
type installation struct {
	dir    string
	broker *Broker
	log    *slog.Logger
	lake   *lake.Lake
}

// newDir creates the directory of a sandbox: dir, which must be empty or missing, or a new temporary directory.
func newDir(dir, prefix string) (string, error) {
	if dir == "" {
		made, err := os.MkdirTemp("", prefix)
		if err != nil {
			return "", fmt.Errorf("make a directory: %w; name one with --dir", err)
		}
		return made, nil
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make directory: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	if len(entries) > 0 {
		return "", fmt.Errorf("directory %s is not empty; name an empty or a new one with --dir", dir)
	}
	return dir, nil
}

// openInstallation starts the broker and creates the topic and the state.
func openInstallation(ctx context.Context, dir string, rules ingest.RulesConfig, partitions int32, sync bool, log *slog.Logger) (*installation, error) {
	b := &installation{dir: dir, log: log, lake: lake.Open(filepath.Join(dir, "lake"), disk.OS(), time.Now)}
	var err error
	b.broker, err = OpenBroker(BrokerConfig{
		Data: filepath.Join(dir, "broker"), Topics: []TopicSpec{{topicName, partitions}}, Sync: sync,
	}, log)
	if err != nil {
		return nil, err
	}
	if _, err := ingest.Init(ctx, b.ingestConfig(), rules, ingest.Deps{Log: log}); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// Close stops the broker. The directory remains.
func (b *installation) Close() error { return b.broker.Close() }

func (b *installation) stateDir() string { return filepath.Join(b.dir, "state") }

func (b *installation) kafka() kafka.Config { return kafka.Config{Brokers: []string{b.broker.Addr()}} }

func (b *installation) ingestConfig() ingest.Config {
	return ingest.Config{
		Kafka: b.kafka(), State: b.stateDir(), Topics: []string{topicName}, Tuning: ingest.DefaultTuning(),
	}
}

// ingest consumes until caught up, like `ingest run --until-caught-up`.
// It calls progress, if not nil, from time to time with the number of consumed records.
func (b *installation) ingest(ctx context.Context, progress func(done, total int64)) error {
	o := ingest.RunOptions{UntilCaughtUp: true, IdleTimeout: idleTimeout}
	g, err := ingest.New(b.ingestConfig(), ingest.RulesConfig{}, o, ingest.Deps{Log: b.log, Progress: progress})
	if err != nil {
		return err
	}
	return errors.Join(g.Run(ctx), g.Close())
}

// publish publishes a release of each tenant, like `publisher run`.
func (b *installation) publish(ctx context.Context, c publish.Config, progress func(t billing.TenantID, done, total int64)) (publish.Report, error) {
	return publish.New(c, publish.Deps{
		Source:   statedir.Dir{Path: b.stateDir()},
		Lake:     b.lake,
		Log:      b.log,
		Progress: progress,
	}).Run(ctx)
}

// push pushes files to the topic, like `produce`.
func (b *installation) push(ctx context.Context, load *produce.Load) (produce.Summary, error) {
	sink, err := produce.NewPusher(ctx, b.kafka(), topicName, 0, b.log)
	if err != nil {
		return produce.Summary{}, err
	}
	defer sink.Close()
	load.Sink = sink
	return load.Run(ctx, time.Now())
}

// read opens the state for reading. No ingest may have it open.
func (b *installation) read(f func(*state.Reader) error) error {
	r, err := state.OpenReader(b.stateDir(), state.Options{Logger: b.log})
	if err != nil {
		return err
	}
	return errors.Join(f(r), r.Close())
}
