// Package monitor serves /metrics, /healthz and /readyz, by default on loopback, and with TLS if it has a
// certificate. It owns the HTTP server and not the metrics: every package registers its own. It has no default mux,
// no profiler unless the user enables it, and only GET endpoints without side effects.
package monitor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Limits of a request, so that a slow or hostile client costs little.
const (
	headerTimeout   = 5 * time.Second
	requestTimeout  = 30 * time.Second
	profileTimeout  = 2 * time.Minute // of a request while the profiler is served
	shutdownTimeout = 3 * time.Second
	maxHeaderBytes  = 16 << 10
)

// Config is the configuration of the server. A program with another port and variable embeds it with both set as kong's
// variables monitor and monitor_env.
type Config struct {
	Monitor        string `help:"Address for /metrics, /healthz and /readyz, host:port; empty serves none." default:"${monitor=127.0.0.1:9464}" env:"${monitor_env=DAYBOOK_MONITOR}" placeholder:"HOST:PORT"`
	MonitorTLSCert string `name:"monitor-tls-cert" help:"PEM file with the certificate (chain) to serve them by TLS; read again when it changes." env:"DAYBOOK_MONITOR_TLS_CERT" placeholder:"FILE"`
	MonitorTLSKey  string `name:"monitor-tls-key" help:"PEM file with the key of --monitor-tls-cert." env:"DAYBOOK_MONITOR_TLS_KEY" placeholder:"FILE"`
	Pprof          bool   `help:"Serve Go's profiler at /debug/pprof/ too. It shows memory: for a while, and on loopback." env:"DAYBOOK_PPROF"`
}

// Validate returns all faults in one error. It reads no file.
func (c *Config) Validate() error {
	var faults []error
	if _, _, err := net.SplitHostPort(c.Monitor); err != nil && c.Monitor != "" {
		faults = append(faults, fmt.Errorf("--monitor %q: want host:port", c.Monitor))
	}
	if (c.MonitorTLSCert == "") != (c.MonitorTLSKey == "") {
		faults = append(faults, errors.New("--monitor-tls-cert and --monitor-tls-key belong together: give both or none"))
	}
	return errors.Join(faults...)
}

// NewRegistry returns a registry with the metrics of the process.
func NewRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return r
}

// Server is the HTTP server of one process. Listen creates it; Run runs it once.
type Server struct {
	listener net.Listener // nil: serves none
	http     *http.Server
}

// Listen opens the address, so that an address in use is reported before work starts. ready returns why the process
// is not ready, or "" if it is ready. It is called from many goroutines.
func Listen(c Config, g prometheus.Gatherer, ready func() string, log *slog.Logger) (*Server, error) {
	s := &Server{}
	if c.Monitor == "" {
		return s, nil
	}
	var security *tls.Config
	if c.MonitorTLSCert != "" {
		pair := &certificate{certFile: c.MonitorTLSCert, keyFile: c.MonitorTLSKey, log: log}
		if err := pair.load(); err != nil {
			return nil, fmt.Errorf("serve metrics: %w", err)
		}
		security = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get}
	}
	l, err := net.Listen("tcp", c.Monitor)
	if err != nil {
		return nil, fmt.Errorf("serve metrics: %w; choose another address with --monitor, or none with --monitor=", err)
	}
	s.listener = l
	s.http = &http.Server{
		Handler:           handler(g, ready, log, c.Pprof),
		TLSConfig:         security,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout,
		IdleTimeout:       requestTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	if c.Pprof {
		s.http.WriteTimeout = profileTimeout
	}
	return s, nil
}

// Run serves until ctx ends, waits for running requests, and closes.
func (s *Server) Run(ctx context.Context) error {
	if s.listener == nil {
		<-ctx.Done()
		return nil
	}
	served := make(chan error, 1)
	go func() {
		if s.http.TLSConfig != nil {
			served <- s.http.ServeTLS(s.listener, "", "")
		} else {
			served <- s.http.Serve(s.listener)
		}
	}()
	select {
	case err := <-served:
		return fmt.Errorf("serve metrics: %w", err)
	case <-ctx.Done():
	}
	// The work is over: remaining connections are closed.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := s.http.Shutdown(end); err != nil {
		s.http.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}

// handler has all endpoints.
func handler(g prometheus.Gatherer, ready func() string, log *slog.Logger, profiler bool) http.Handler {
	mux := http.NewServeMux()
	if profiler {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(g, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		MaxRequestsInFlight: 4,
		Timeout:             requestTimeout / 2,
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if reason := ready(); reason != "" {
			answer(w, http.StatusServiceUnavailable, "not ready: "+reason)
			return
		}
		answer(w, http.StatusOK, "ok")
	})
	return mux
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // a client that disconnects is not an error
}
