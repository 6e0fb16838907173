package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Problem explains an error of the client to its user: one line with the cause and the remedy. It unwraps to the
// explained error.
type Problem struct {
	Cause  string
	Remedy string
	Err    error
}

// Error returns the cause and the remedy.
func (p *Problem) Error() string { return p.Cause + ": " + p.Remedy }

// Unwrap returns the error of the client.
func (p *Problem) Unwrap() error { return p.Err }

// Explain converts an error of a kgo client with this configuration into a Problem. subject is the object of the
// request ("topic billing"), or empty for the cluster. It returns unknown and already explained errors unchanged,
// and nil for nil.
func (c *Config) Explain(subject string, err error) error {
	if err == nil {
		return nil
	}
	if _, done := errors.AsType[*Problem](err); done {
		return err
	}
	if subject == "" {
		subject = "the cluster"
	}
	brokers := strings.Join(c.Brokers, ", ")
	problem := func(remedy, cause string, args ...any) error {
		return &Problem{Cause: fmt.Sprintf(cause, args...), Remedy: remedy, Err: err}
	}

	// Errors of a broker have precedence, then those of TLS, then those of the network: each is wrapped in the next.
	switch {
	case errIsAny(err, kerr.SaslAuthenticationFailed, kerr.IllegalSaslState):
		return problem("check --sasl-user and the password", "the broker refused user %q by %s", c.SASLUser, c.SASL)
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return problem("choose another --sasl (plain, scram-sha-256, scram-sha-512)", "the broker does not offer %s", c.SASL)
	case errIsAny(err, kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed):
		return problem("give the user the right by an ACL", "user %q is not authorised for %s", c.SASLUser, subject)
	case errIsAny(err, kerr.UnknownTopicOrPartition, kerr.UnknownTopicID):
		return problem("create it (with the partitions it is to have), or check the name", "%s does not exist on %s", subject, brokers)
	case errors.Is(err, kerr.InvalidTopicException):
		return problem("check the name", "%s is not a name Kafka allows", subject)
	case errIsAny(err, kerr.MessageTooLarge, kerr.RecordListTooLarge):
		return problem("raise max.message.bytes of the topic, or send smaller records", "a record for %s is larger than the broker takes", subject)
	}

	if cause := tlsCause(err); cause != "" {
		remedy := "check --tls-ca and --tls-server-name"
		if !c.TLS {
			remedy = "add --tls"
		} else if strings.Contains(cause, "client certificate") {
			remedy = "check --tls-cert and --tls-key"
		} else if strings.Contains(cause, "does not talk TLS") {
			remedy = "drop --tls, or use the broker's TLS port"
		}
		return problem(remedy, "TLS with %s: %s", brokers, cause)
	}

	// A broker closes the connection if the client starts in an unexpected way. Which of the
	// reasons applies follows only from the configuration.
	if _, first := errors.AsType[*kgo.ErrFirstReadEOF](err); first || errors.Is(err, io.EOF) {
		switch {
		case c.usesSASL():
			return problem("check --sasl, --sasl-user, the password and --tls", "%s hung up on user %q", brokers, c.SASLUser)
		case c.TLS:
			return problem("check --tls, and --tls-cert and --sasl if it asks who is there", "%s hung up", brokers)
		default:
			return problem("it may want --tls or --sasl", "%s hung up", brokers)
		}
	}
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return problem("check --brokers", "the name %s is not known", dns.Name)
	case errIsAny(err, syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ECONNRESET):
		return problem("start it, or check --brokers", "no broker answers at %s", brokers)
	case errIsAny(err, kgo.ErrRecordTimeout, kgo.ErrRecordRetries, kerr.RequestTimedOut, context.DeadlineExceeded, os.ErrDeadlineExceeded):
		remedy := "check that they are up and reachable, and whether they want --tls"
		if c.TLS {
			remedy = "check that they are up and reachable, and that the port is one for --tls"
		}
		return problem(remedy, "%s did not answer in time", brokers)
	}
	return err
}

// tlsCause returns the reason of a failed handshake; empty if none failed.
func tlsCause(err error) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the certificate is signed by an authority that is not trusted"
	}
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return "the certificate is not for " + e.Host
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if e.Reason == x509.Expired {
			return "the certificate has expired or is not valid yet"
		}
		return "the certificate is not valid"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the broker does not talk TLS"
	}
	if e, ok := errors.AsType[tls.AlertError](err); ok {
		return "the broker refused the client certificate or the handshake (" + e.Error() + ")"
	}
	// The client parsed the alert of a TLS listener as a response.
	text := err.Error()
	if strings.Contains(text, "speaking to a tls endpoint") {
		return "the broker talks TLS"
	}
	// crypto/tls gives alerts that the peer sent as an unexported type.
	if strings.Contains(text, "remote error: tls: ") {
		_, alert, _ := strings.Cut(text, "remote error: ")
		return "the broker refused the client certificate or the handshake (" + alert + ")"
	}
	return ""
}

// errIsAny reports whether err is any of the targets.
func errIsAny(err error, targets ...error) bool {
	for _, t := range targets {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}
