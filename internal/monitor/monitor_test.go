package monitor

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a server on a free port and returns a GET of it.
func serve(t *testing.T, g prometheus.Gatherer, ready func() string) (get func(path string) (int, string)) {
	return serveAs(t, Config{}, g, ready)
}

func serveAs(t *testing.T, c Config, g prometheus.Gatherer, ready func() string) (get func(path string) (int, string)) {
	t.Helper()
	c.Monitor = "127.0.0.1:0"
	s, err := Listen(c, g, ready, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return func(path string) (int, string) {
		t.Helper()
		r, err := client.Get("http://" + s.Addr() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(body)
	}
}

func TestReadySaysWhyNot(t *testing.T) {
	var reason atomic.Value
	reason.Store("storage takes no writes: disk full")
	get := serve(t, prometheus.NewRegistry(), func() string { return reason.Load().(string) })

	if code, body := get("/readyz"); code != 503 || body != "not ready: storage takes no writes: disk full\n" {
		t.Errorf("/readyz = %d %q", code, body)
	}
	reason.Store("")
	if code, body := get("/readyz"); code != 200 || body != "ok\n" {
		t.Errorf("/readyz = %d %q", code, body)
	}
	if code, _ := get("/healthz"); code != 200 {
		t.Errorf("/healthz = %d", code)
	}
}

func TestMetricsAreTheRegistrysAlone(t *testing.T) {
	r := NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "daybook_test_records_total", Help: "Records."})
	r.MustRegister(c)
	c.Add(7)
	get := serve(t, r, func() string { return "" })
	code, body := get("/metrics")
	if code != 200 || !strings.Contains(body, "\ndaybook_test_records_total 7\n") || !strings.Contains(body, "go_goroutines") {
		t.Errorf("/metrics = %d\n%s", code, body)
	}
}

func TestNothingElseIsServed(t *testing.T) {
	get := serve(t, prometheus.NewRegistry(), func() string { return "" })
	for _, path := range []string{"/", "/debug/pprof/", "/debug/vars", "/metrics/x"} {
		if code, _ := get(path); code != 404 {
			t.Errorf("%s = %d, want 404", path, code)
		}
	}
}

func TestProfilerWhereItIsAskedFor(t *testing.T) {
	get := serveAs(t, Config{Pprof: true}, prometheus.NewRegistry(), func() string { return "" })
	if code, body := get("/debug/pprof/goroutine?debug=1"); code != 200 || !strings.Contains(body, "goroutine profile") {
		t.Errorf("/debug/pprof/goroutine = %d %q", code, body)
	}
	// The command line may contain secrets.
	if code, _ := get("/debug/pprof/cmdline"); code != 404 {
		t.Errorf("/debug/pprof/cmdline = %d, want 404", code)
	}
}

func TestAddressInUseNamesTheRemedy(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	first, err := Listen(Config{Monitor: "127.0.0.1:0"}, prometheus.NewRegistry(), nil, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	_, err = Listen(Config{Monitor: first.Addr()}, prometheus.NewRegistry(), nil, quiet)
	if err == nil || !strings.Contains(err.Error(), "--monitor") {
		t.Errorf("second Listen: %v", err)
	}
}

func TestEmptyAddressServesNone(t *testing.T) {
	s, err := Listen(Config{}, prometheus.NewRegistry(), nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Run(ctx); err != nil || s.Addr() != "" {
		t.Errorf("Run: %v, Addr %q", err, s.Addr())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestValidate(t *testing.T) {
	f := func(address string, ok bool) {
		t.Helper()
		c := Config{Monitor: address}
		if err := c.Validate(); (err == nil) != ok {
			t.Errorf("Validate(%q) = %v", address, err)
		}
	}
	f("", true)
	f("127.0.0.1:9464", true)
	f("[::1]:0", true)
	f("9464", false)
	f("localhost", false)
}

func TestValidateWantsCertificateAndKey(t *testing.T) {
	for _, c := range []Config{{MonitorTLSCert: "c.pem"}, {MonitorTLSKey: "k.pem"}} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "belong together") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if err := (&Config{MonitorTLSCert: "c.pem", MonitorTLSKey: "k.pem"}).Validate(); err != nil {
		t.Error(err)
	}
}
