package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"daybook/internal/test/testkafka"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster starts a broker on loopback for the test's time.
func cluster(t *testing.T, opts ...kfake.Opt) []string {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c.ListenAddrs()
}

// ping connects as c says and asks the cluster for its metadata.
func ping(t *testing.T, c Config) error {
	t.Helper()
	opts, err := c.Options(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	return c.Explain("", client.Ping(ctx))
}

// wantProblem checks that err is one line with these words.
func wantProblem(t *testing.T, err error, words ...string) {
	t.Helper()
	var p *Problem
	if !errors.As(err, &p) {
		t.Fatalf("not explained: %v", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("no %q in: %v", w, err)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %v", err)
	}
}

func TestBrokerAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	wantProblem(t, ping(t, Config{Brokers: []string{addr}}), "no broker answers", addr, "--brokers")
}

func TestSASL(t *testing.T) {
	for mechanism, name := range map[Mechanism]string{Plain: "PLAIN", ScramSHA256: "SCRAM-SHA-256", ScramSHA512: "SCRAM-SHA-512"} {
		t.Run(string(mechanism), func(t *testing.T) {
			addrs := cluster(t, kfake.EnableSASL(), kfake.Superuser(name, "anna", "right"))
			c := Config{Brokers: addrs, SASL: mechanism, SASLUser: "anna", SASLPassword: "right"}
			if err := ping(t, c); err != nil {
				t.Errorf("right password: %v", err)
			}
			c.SASLPassword = "wrong-one"
			err := ping(t, c)
			wantProblem(t, err, `"anna"`, "password")
			if strings.Contains(err.Error(), "wrong-one") {
				t.Errorf("the password is printed: %v", err)
			}
			wantProblem(t, ping(t, Config{Brokers: addrs}), "--sasl")
		})
	}
}

// TestPasswordFileIsReadAtEachConnection replaces the password while the
// configuration stays.
func TestPasswordFileIsReadAtEachConnection(t *testing.T) {
	addrs := cluster(t, kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "anna", "new"))
	file := filepath.Join(t.TempDir(), "password")
	c := Config{Brokers: addrs, SASL: ScramSHA256, SASLUser: "anna", SASLPasswordFile: file}
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old\n")
	opts, err := c.Options(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	write("new\n")
	client, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Ping(t.Context()); err != nil {
		t.Errorf("the replaced password was not read: %v", err)
	}
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	ca := testkafka.NewAuthority(t, filepath.Join(dir, "ca.pem"))
	other := testkafka.NewAuthority(t, filepath.Join(dir, "other.pem"))
	server := ca.Issue(t, "", "127.0.0.1")
	ca.Issue(t, filepath.Join(dir, "client"), "anna")
	other.Issue(t, filepath.Join(dir, "stranger"), "eve")

	addrs := cluster(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{server}}))
	c := Config{Brokers: addrs, TLS: true, TLSCA: filepath.Join(dir, "ca.pem")}
	if err := ping(t, c); err != nil {
		t.Errorf("right authority: %v", err)
	}
	c.TLSCA = filepath.Join(dir, "other.pem")
	wantProblem(t, ping(t, c), "not trusted", "--tls-ca")
	c.TLSCA, c.TLSServerName = filepath.Join(dir, "ca.pem"), "kafka.example"
	wantProblem(t, ping(t, c), "not for kafka.example", "--tls-server-name")
	wantProblem(t, ping(t, Config{Brokers: addrs}), "--tls")
	wantProblem(t, ping(t, Config{Brokers: cluster(t), TLS: true}), "--tls")

	mutual := cluster(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{server}, ClientCAs: ca.Pool(), ClientAuth: tls.RequireAndVerifyClientCert}))
	c = Config{Brokers: mutual, TLS: true, TLSCA: filepath.Join(dir, "ca.pem"), TLSCert: filepath.Join(dir, "client.crt"), TLSKey: filepath.Join(dir, "client.key")}
	if err := ping(t, c); err != nil {
		t.Errorf("right client certificate: %v", err)
	}
	c.TLSCert, c.TLSKey = filepath.Join(dir, "stranger.crt"), filepath.Join(dir, "stranger.key")
	wantProblem(t, ping(t, c), "--tls-cert")
	c.TLSCert, c.TLSKey = "", ""
	wantProblem(t, ping(t, c), "--tls-cert")
}

func TestUnknownTopic(t *testing.T) {
	c := Config{Brokers: cluster(t)}
	opts, err := c.Options(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(append(opts, kgo.UnknownTopicRetries(0))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	err = client.ProduceSync(t.Context(), &kgo.Record{Topic: "nowhere", Value: []byte("x")}).FirstErr()
	explained := c.Explain("topic nowhere", err)
	wantProblem(t, explained, "topic nowhere does not exist")
	if !errors.Is(explained, kerr.UnknownTopicOrPartition) {
		t.Errorf("%v does not unwrap to what the client said", explained)
	}
	if again := c.Explain("topic nowhere", explained); again != explained {
		t.Errorf("explained twice: %v", again)
	}
}

func TestExplainLeavesTheUnknown(t *testing.T) {
	c := Config{Brokers: []string{"b:1"}}
	odd := errors.New("odd")
	if got := c.Explain("", odd); got != odd {
		t.Errorf("got %v", got)
	}
	if got := c.Explain("", nil); got != nil {
		t.Errorf("got %v", got)
	}
	if got := c.Explain("", context.Canceled); !errors.Is(got, context.Canceled) {
		t.Errorf("got %v", got)
	}
	wantProblem(t, c.Explain("topic t", kerr.TopicAuthorizationFailed), "not authorised for topic t", "ACL")
	wantProblem(t, c.Explain("topic t", kerr.MessageTooLarge), "max.message.bytes")
	wantProblem(t, c.Explain("", kgo.ErrRecordTimeout), "did not answer in time")
	wantProblem(t, c.Explain("", kerr.SaslAuthenticationFailed), "password")
	wantProblem(t, c.Explain("", errors.New("invalid large response size 352518912 > limit 104857600; the first three bytes received appear to be a tls alert record for TLS v1.2; is this a plaintext connection speaking to a tls endpoint?")), "talks TLS", "add --tls")
}

func TestOptionsReadFiles(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(c Config, want string) {
		t.Helper()
		c.Brokers = []string{"127.0.0.1:1"}
		if _, err := c.Options(slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	f(Config{TLS: true, TLSCA: missing}, "--tls-ca")
	f(Config{TLS: true, TLSCA: empty}, "no PEM certificate")
	f(Config{TLS: true, TLSCert: missing, TLSKey: missing}, "--tls-cert")
	f(Config{SASL: Plain, SASLUser: "u", SASLPasswordFile: missing}, "--sasl-password-file")
}
