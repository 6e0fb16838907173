// Package kafka is how Daybook's programs reach a Kafka cluster: brokers, TLS
// and SASL from flags, environment or file, as kgo options. It owns no client.
package kafka

import (
	"log/slog"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Config says how to reach a cluster. It is one struct for flags, environment
// and YAML; secrets come from files or environment and are never printed.
type Config struct {
	Brokers []string `help:"Kafka brokers, host:port." env:"DAYBOOK_BROKERS" default:"127.0.0.1:9092" placeholder:"HOST:PORT"`
}

// Validate reports every fault in one error.
func (c *Config) Validate() error { panic("not built yet") }

// Options are the kgo options for the connection; they read the secrets' files.
func (c *Config) Options(log *slog.Logger) ([]kgo.Opt, error) { panic("not built yet") }
