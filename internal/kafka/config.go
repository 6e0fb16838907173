package kafka

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// PasswordVariable is the environment variable of the SASL password, used if no file and no program sets it. There
// is no flag for the password, because every user of a machine can read command lines.
const PasswordVariable = "DAYBOOK_SASL_PASSWORD"

// The SASL mechanisms. None means no SASL.
const (
	None        Mechanism = "none"
	Plain       Mechanism = "plain"
	ScramSHA256 Mechanism = "scram-sha-256"
	ScramSHA512 Mechanism = "scram-sha-512"
)

// Mechanism is a SASL mechanism.
type Mechanism string

// Config is the configuration of connections to a cluster. One struct serves flags, environment and YAML; programs
// embed it. Secrets come from files or the environment and are never printed.
type Config struct {
	Brokers []string `help:"Kafka brokers to ask for the cluster, as host:port." env:"DAYBOOK_BROKERS" default:"127.0.0.1:9092" placeholder:"HOST:PORT" group:"Kafka connection:"`

	TLS           bool   `name:"tls" help:"Talk TLS to the brokers." env:"DAYBOOK_TLS" group:"Kafka connection:"`
	TLSCA         string `name:"tls-ca" help:"PEM file of the authorities that sign the brokers' certificates; default: the system's." env:"DAYBOOK_TLS_CA" placeholder:"FILE" group:"Kafka connection:"`
	TLSCert       string `name:"tls-cert" help:"PEM file with this client's certificate, for mutual TLS." env:"DAYBOOK_TLS_CERT" placeholder:"FILE" group:"Kafka connection:"`
	TLSKey        string `name:"tls-key" help:"PEM file with the key of --tls-cert." env:"DAYBOOK_TLS_KEY" placeholder:"FILE" group:"Kafka connection:"`
	TLSServerName string `name:"tls-server-name" help:"Name the brokers' certificates must carry; default: the host part of the address." env:"DAYBOOK_TLS_SERVER_NAME" placeholder:"NAME" group:"Kafka connection:"`

	SASL             Mechanism `name:"sasl" help:"SASL mechanism: none, plain, scram-sha-256 or scram-sha-512." env:"DAYBOOK_SASL" default:"none" placeholder:"MECHANISM" group:"Kafka connection:"`
	SASLUser         string    `name:"sasl-user" help:"SASL user. The password comes from --sasl-password-file or the environment variable DAYBOOK_SASL_PASSWORD." env:"DAYBOOK_SASL_USER" placeholder:"NAME" group:"Kafka connection:"`
	SASLPasswordFile string    `name:"sasl-password-file" help:"File that holds the SASL password; read again at each new connection, so that it can be replaced." env:"DAYBOOK_SASL_PASSWORD_FILE" placeholder:"FILE" group:"Kafka connection:"`

	// SASLPassword is for programs that have the password. It has precedence over the file and the environment.
	SASLPassword Secret `kong:"-" yaml:"-" json:"-"`
}

// Validate returns all faults in one error. It reads no file.
func (c *Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	if len(c.Brokers) == 0 {
		fault("--brokers is empty: name at least one broker as host:port")
	}
	for _, b := range c.Brokers {
		host, port, err := net.SplitHostPort(b)
		if n, perr := strconv.Atoi(port); err != nil || host == "" || perr != nil || n < 1 || n > 65535 {
			fault("--brokers: %q is not host:port", b)
		}
	}
	if !c.TLS {
		for _, f := range []struct{ flag, value string }{
			{"--tls-ca", c.TLSCA}, {"--tls-cert", c.TLSCert}, {"--tls-key", c.TLSKey}, {"--tls-server-name", c.TLSServerName},
		} {
			if f.value != "" {
				fault("%s has no effect without --tls: add --tls", f.flag)
			}
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		fault("--tls-cert and --tls-key belong together: give both or none")
	}
	switch c.SASL {
	case None, "":
		if c.SASLUser != "" || c.SASLPasswordFile != "" {
			fault("--sasl-user and --sasl-password-file have no effect without --sasl: add --sasl scram-sha-512 or what the cluster uses")
		}
	case Plain, ScramSHA256, ScramSHA512:
		if c.SASLUser == "" {
			fault("--sasl %s needs --sasl-user", c.SASL)
		}
		if c.SASLPassword == "" && c.SASLPasswordFile == "" && os.Getenv(PasswordVariable) == "" {
			fault("--sasl %s needs a password: give --sasl-password-file or set %s", c.SASL, PasswordVariable)
		}
	default:
		fault("--sasl: %q is not a mechanism: use plain, scram-sha-256 or scram-sha-512", string(c.SASL))
	}
	return errors.Join(faults...)
}

// usesSASL reports whether connections authenticate.
func (c *Config) usesSASL() bool { return c.SASL != None && c.SASL != "" }

// password returns the configured password. The line end at the end of a file is not part of it.
func (c *Config) password() (Secret, error) {
	if c.SASLPassword != "" {
		return c.SASLPassword, nil
	}
	if c.SASLPasswordFile == "" {
		return Secret(os.Getenv(PasswordVariable)), nil
	}
	text, err := os.ReadFile(c.SASLPasswordFile)
	if err != nil {
		return "", fmt.Errorf("read --sasl-password-file: %w", err)
	}
	password := strings.TrimRight(string(text), "\r\n")
	if password == "" {
		return "", fmt.Errorf("read --sasl-password-file: %s is empty", c.SASLPasswordFile)
	}
	return Secret(password), nil
}
