package kafka

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestValidateReportsAllFaults(t *testing.T) {
	c := Config{
		Brokers: []string{"nohost", "good:9092", "bad:port", "far:99999"},
		TLSCA:   "ca.pem", TLSCert: "cert.pem",
		SASL: "kerberos",
	}
	err := c.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`"nohost"`, `"bad:port"`, `"far:99999"`, "--tls-ca has no effect", "--tls-cert has no effect", "belong together", `"kerberos"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "good:9092") {
		t.Errorf("a good broker is reported:\n%v", err)
	}
}

func TestValidate(t *testing.T) {
	t.Setenv(PasswordVariable, "")
	f := func(change func(*Config), want string) {
		t.Helper()
		c := Config{Brokers: []string{"127.0.0.1:9092", "[::1]:9093"}, SASL: None}
		change(&c)
		err := c.Validate()
		if want == "" {
			if err != nil {
				t.Errorf("got %v, want no error", err)
			}
		} else if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	f(func(*Config) {}, "")
	f(func(c *Config) { c.SASL = "" }, "")
	f(func(c *Config) { c.Brokers = nil }, "--brokers is empty")
	f(func(c *Config) { c.SASLUser = "u" }, "no effect without --sasl")
	f(func(c *Config) { c.SASL, c.SASLUser = Plain, "u" }, PasswordVariable)
	f(func(c *Config) { c.SASL, c.SASLPassword = ScramSHA256, "p" }, "needs --sasl-user")
	f(func(c *Config) { c.SASL, c.SASLUser, c.SASLPassword = ScramSHA512, "u", "p" }, "")
	f(func(c *Config) { c.TLS, c.TLSKey = true, "key.pem" }, "belong together")
}

func TestPassword(t *testing.T) {
	t.Setenv(PasswordVariable, "from the environment")
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(" with spaces \r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(c Config, want string) {
		t.Helper()
		if got, err := c.password(); err != nil || string(got) != want {
			t.Errorf("got %q, %v; want %q", string(got), err, want)
		}
	}
	f(Config{}, "from the environment")
	f(Config{SASLPasswordFile: file}, " with spaces ")
	f(Config{SASLPasswordFile: file, SASLPassword: "given"}, "given")

	if err := os.WriteFile(file, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := Config{SASLPasswordFile: file}
	if _, err := empty.password(); err == nil {
		t.Error("an empty password file is accepted")
	}
}

// TestSecretIsNeverPrinted prints a Config in every way a program might.
func TestSecretIsNeverPrinted(t *testing.T) {
	const secret = "hunter2"
	c := Config{Brokers: []string{"b:1"}, SASL: Plain, SASLUser: "u", SASLPassword: secret}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("config", "config", c, "password", c.SASLPassword)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("config", "config", c, "password", c.SASLPassword)
	text, err := json.Marshal(struct{ Password Secret }{c.SASLPassword})
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprintf("%v %+v %#v %s %q", c, c, c, c.SASLPassword, c.SASLPassword) + log.String() + string(text)
	if strings.Contains(all, secret) {
		t.Errorf("the password is printed:\n%s", all)
	}
	if !strings.Contains(all, redacted) {
		t.Errorf("no placeholder:\n%s", all)
	}
	if s := fmt.Sprint(Secret("")); s != "" {
		t.Errorf("an empty secret shows as %q", s)
	}
}
