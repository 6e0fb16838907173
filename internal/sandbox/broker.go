package sandbox

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Loopback is the only host that the broker listens on.
const Loopback = "127.0.0.1"

// DefaultPartitions is the number of partitions of a topic without an explicit number.
const DefaultPartitions = 4

// BrokerConfig is the configuration of a broker.
type BrokerConfig struct {
	Port   int         `help:"Port on 127.0.0.1; 0 takes a free one." default:"9092" env:"DAYBOOK_BROKER_PORT"`
	Data   string      `help:"Data directory, made if need be; empty keeps everything in memory." type:"path" env:"DAYBOOK_BROKER_DATA" placeholder:"DIR"`
	Topics []TopicSpec `name:"topic" help:"Topic that must exist, NAME or NAME:PARTITIONS (repeatable)." default:"billing:4" placeholder:"NAME[:PARTITIONS]"`
	Sync   bool        `help:"Sync each batch to disk before it is acknowledged." default:"true" negatable:""`
}

// Validate returns all faults of the configuration.
func (c *BrokerConfig) Validate() error {
	var faults []error
	if c.Port < 0 || c.Port > 65535 {
		faults = append(faults, fmt.Errorf("--port %d: want 0 to 65535", c.Port))
	}
	seen := map[string]bool{}
	for _, t := range c.Topics {
		if seen[t.Name] {
			faults = append(faults, fmt.Errorf("--topic %s is given twice", t.Name))
		}
		seen[t.Name] = true
	}
	return errors.Join(faults...)
}

// TopicSpec is a topic with its number of partitions.
type TopicSpec struct {
	Name       string
	Partitions int32
}

// UnmarshalText reads NAME or NAME:PARTITIONS.
func (t *TopicSpec) UnmarshalText(text []byte) error {
	name, count, counted := strings.Cut(string(text), ":")
	t.Name, t.Partitions = name, DefaultPartitions
	if counted {
		n, err := strconv.ParseInt(count, 10, 32)
		if err != nil || n < 1 || n > 1000 {
			return fmt.Errorf("topic %q: want NAME:PARTITIONS with 1 to 1000 partitions", text)
		}
		t.Partitions = int32(n)
	}
	if name == "" || len(name) > 249 || strings.ContainsFunc(name, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", r)
	}) || name == "." || name == ".." {
		return fmt.Errorf("topic %q: a name is 1 to 249 letters, digits, dots, dashes and underscores", text)
	}
	return nil
}

// String is NAME:PARTITIONS.
func (t TopicSpec) String() string { return t.Name + ":" + strconv.Itoa(int(t.Partitions)) }

// Broker is a running broker. Close it.
type Broker struct {
	cluster *kfake.Cluster
	lock    io.Closer // nil: in memory
	topics  []TopicSpec
	close   sync.Once
}

// OpenBroker starts a broker and creates missing topics; existing topics keep their partitions. The broker serves when
// OpenBroker returns. Error: ErrLocked.
func OpenBroker(c BrokerConfig, log *slog.Logger) (_ *Broker, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	b := &Broker{}
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	options := []kfake.Opt{
		kfake.Ports(c.Port),
		kfake.WithLogger(brokerLog{log}),
		// A new data directory gets a cluster ID of its own; an existing one keeps its ID.
		kfake.ClusterID(base64.RawURLEncoding.EncodeToString(id)),
		kfake.DefaultNumPartitions(DefaultPartitions),
	}
	if c.Data != "" {
		if err := os.MkdirAll(c.Data, 0o700); err != nil {
			return nil, fmt.Errorf("make data directory: %w", err)
		}
		if b.lock, err = lockDir(c.Data); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				_ = b.lock.Close()
			}
		}()
		options = append(options, kfake.DataDir(c.Data))
		if c.Sync {
			options = append(options, kfake.SyncWrites())
		}
	}
	b.cluster, err = kfake.NewCluster(options...)
	if err != nil {
		return nil, fmt.Errorf("start broker on %s:%d: %w; choose another with --port", Loopback, c.Port, err)
	}
	// A state can be rebuilt only from a log that keeps everything.
	configs := map[string]string{"retention.ms": "-1"}
	for _, t := range c.Topics {
		if b.cluster.TopicInfo(t.Name) != nil {
			b.topics = append(b.topics, TopicSpec{Name: t.Name, Partitions: int32(len(b.cluster.PartitionInfos(t.Name)))})
			continue
		}
		if err := b.cluster.CreateTopic(t.Name, t.Partitions, configs); err != nil {
			b.cluster.Close()
			return nil, fmt.Errorf("make topic %s: %w", t, err)
		}
		b.topics = append(b.topics, t)
	}
	return b, nil
}

// Addr is host:port of the broker.
func (b *Broker) Addr() string { return b.cluster.ListenAddrs()[0] }

// Topics returns the configured topics with their actual numbers of partitions.
func (b *Broker) Topics() []TopicSpec { return b.topics }

// Close saves unsaved data and unlocks the data directory.
func (b *Broker) Close() error {
	var err error
	b.close.Do(func() {
		b.cluster.Close()
		if b.lock != nil {
			err = b.lock.Close()
		}
	})
	return err
}

// brokerLog forwards errors and warnings of the broker to slog.
type brokerLog struct{ log *slog.Logger }

// Logf logs errors and warnings and drops the rest.
func (l brokerLog) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError:
		l.log.Error("broker", "message", fmt.Sprintf(format, args...))
	case kfake.LogLevelWarn:
		l.log.Warn("broker", "message", fmt.Sprintf(format, args...))
	}
}
