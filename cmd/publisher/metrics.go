package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"

	"daybook/internal/cli"
)

// pushTimeout bounds how long a Pushgateway may keep a finished run waiting.
const pushTimeout = 10 * time.Second

// metricsFlags say where a job leaves its metrics: it is gone when somebody would scrape it.
type metricsFlags struct {
	MetricsFile string `help:"Write the run's metrics to this file, which ends in .prom, for node_exporter's textfile collector." placeholder:"FILE" env:"DAYBOOK_METRICS_FILE"`
	Pushgateway string `help:"Push the run's metrics to this Pushgateway, as job daybook_publisher." placeholder:"URL" env:"DAYBOOK_PUSHGATEWAY"`
}

// Validate reports what could never be written.
func (f *metricsFlags) Validate() error {
	var faults []error
	if f.MetricsFile != "" && filepath.Ext(f.MetricsFile) != ".prom" {
		faults = append(faults, fmt.Errorf("--metrics-file %s: the textfile collector reads files that end in .prom alone", f.MetricsFile))
	}
	if f.Pushgateway != "" {
		if u, err := url.Parse(f.Pushgateway); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			faults = append(faults, fmt.Errorf("--pushgateway %q: want http://HOST:PORT", f.Pushgateway))
		}
	}
	return errors.Join(faults...)
}

// registry is one to collect the run's metrics in; nil where nobody asks for them.
func (f *metricsFlags) registry() *prometheus.Registry {
	if f.MetricsFile == "" && f.Pushgateway == "" {
		return nil
	}
	return prometheus.NewRegistry()
}

// leave writes and pushes the metrics. Where that fails it is logged: the run's exit code
// says what became of the books, and an alert on the metrics' age says that they are missing.
func (f *metricsFlags) leave(c *cli.Context, r *prometheus.Registry) {
	if f.MetricsFile != "" {
		if err := prometheus.WriteToTextfile(f.MetricsFile, r); err != nil {
			c.Log.Warn("write metrics file", "error", err)
		}
	}
	if f.Pushgateway == "" {
		return
	}
	// The metrics of a run that was told to stop count too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c), pushTimeout)
	defer cancel()
	pusher := push.New(f.Pushgateway, "daybook_publisher").Gatherer(r).Client(&http.Client{Timeout: pushTimeout})
	if host, err := os.Hostname(); err == nil {
		pusher.Grouping("instance", host)
	}
	if err := pusher.PushContext(ctx); err != nil {
		c.Log.Warn("push metrics", "error", err)
	}
}
