package monitor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// writePair writes a self-signed certificate for loopback and its key.
func writePair(t *testing.T, certFile, keyFile string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		// Two writes within one tick of the file system's clock are told apart all the same.
		at := time.Unix(1_700_000_000+serial, 0)
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCertificateIsReadAgain: a pair that is replaced is served from the next connection on, and
// half a replacement does not stop the old one.
func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePair(t, certFile, keyFile, 1)
	c := Config{Monitor: "127.0.0.1:0", MonitorTLSCert: certFile, MonitorTLSKey: keyFile}
	s, err := Listen(c, prometheus.NewRegistry(), func() string { return "" }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	serves := func(serial int64) {
		t.Helper()
		conn, err := tls.Dial("tcp", s.Addr(), &tls.Config{InsecureSkipVerify: true}) // the serial is what is looked at
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if got := conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64(); got != serial {
			t.Errorf("certificate %d is served, want %d", got, serial)
		}
	}
	serves(1)
	writePair(t, certFile, filepath.Join(dir, "other.pem"), 2) // the key is not replaced yet
	serves(1)
	writePair(t, certFile, keyFile, 3)
	serves(3)

	pool := x509.NewCertPool()
	data, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	pool.AppendCertsFromPEM(data)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer client.CloseIdleConnections()
	r, err := client.Get("https://" + s.Addr() + "/healthz")
	if err != nil || r.StatusCode != 200 {
		t.Fatalf("%+v, %v", r, err)
	}
	r.Body.Close()
	if r, err := http.Get("http://" + s.Addr() + "/metrics"); err == nil {
		defer r.Body.Close()
		if r.StatusCode == 200 {
			t.Error("metrics are served without TLS too")
		}
	}
}

func TestBadCertificateIsRefusedAtStart(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	listen := func() error {
		s, err := Listen(Config{Monitor: "127.0.0.1:0", MonitorTLSCert: certFile, MonitorTLSKey: keyFile}, nil, nil, slog.New(slog.DiscardHandler))
		if err == nil {
			s.Close()
		}
		return err
	}
	if err := listen(); err == nil || !strings.Contains(err.Error(), "--monitor-tls-cert") {
		t.Errorf("no files: %v", err)
	}
	writePair(t, certFile, keyFile, 1)
	const canary = "canary-in-the-key-file"
	if err := os.WriteFile(keyFile, []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := listen(); err == nil || !strings.Contains(err.Error(), "--monitor-tls-key") || strings.Contains(err.Error(), canary) {
		t.Errorf("a bad key: %v", err)
	}
}
