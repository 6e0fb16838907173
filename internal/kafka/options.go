package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"github.com/twmb/franz-go/plugin/kslog"
)

// clientID is the client ID in brokers' logs and quotas.
const clientID = "daybook"

// Options are the kgo options for the connection: brokers, TLS, SASL, client id
// and logging. They read the configured files, so that a wrong path is an error now and not at
// the first connection. Log lines of the client are logged one level lower, except warnings and errors.
func (c *Config) Options(log *slog.Logger) ([]kgo.Opt, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID(clientID),
		kgo.WithLogger(clientLogger{kslog.New(log)}),
	}
	if c.TLS {
		config, err := c.tlsConfig()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(config))
	}
	if c.usesSASL() {
		if _, err := c.password(); err != nil {
			return nil, err
		}
		if c.SASL == Plain && !c.TLS && !c.loopback() {
			log.Warn("the password is sent without encryption: --sasl plain without --tls")
		}
		opts = append(opts, kgo.SASL(c.mechanism()))
	}
	return opts, nil
}

// tlsConfig reads the certificate files.
func (c *Config) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.TLSServerName}
	if c.TLSCA != "" {
		pem, err := os.ReadFile(c.TLSCA)
		if err != nil {
			return nil, fmt.Errorf("read --tls-ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read --tls-ca: %s holds no PEM certificate", c.TLSCA)
		}
	}
	if c.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("read --tls-cert and --tls-key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// mechanism reads the password at each connection.
func (c *Config) mechanism() sasl.Mechanism {
	if c.SASL == Plain {
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			password, err := c.password()
			return plain.Auth{User: c.SASLUser, Pass: string(password)}, err
		})
	}
	auth := func(context.Context) (scram.Auth, error) {
		password, err := c.password()
		return scram.Auth{User: c.SASLUser, Pass: string(password)}, err
	}
	if c.SASL == ScramSHA256 {
		return scram.Sha256(auth)
	}
	return scram.Sha512(auth)
}

// loopback reports whether every broker is on this machine.
func (c *Config) loopback() bool {
	for _, b := range c.Brokers {
		host, _, _ := net.SplitHostPort(b)
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}

// clientLogger logs the client's lines one level lower: its level Info is about connections and metadata, ours
// about changes of state.
type clientLogger struct{ *kslog.Logger }

// Level returns the most verbose level at which the client should log.
func (l clientLogger) Level() kgo.LogLevel {
	level := l.Logger.Level()
	if level == kgo.LogLevelInfo {
		return kgo.LogLevelWarn
	}
	if level == kgo.LogLevelDebug {
		return kgo.LogLevelInfo
	}
	return level
}

// Log logs one line.
func (l clientLogger) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	// The loop that waits for the brokers logs the result of a dial, with its remedy.
	if level == kgo.LogLevelInfo || strings.HasPrefix(msg, "unable to open connection to broker") {
		level = kgo.LogLevelDebug
	}
	l.Logger.Log(level, msg, keyvals...)
}
