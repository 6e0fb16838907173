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

// pushTimeout bounds the wait of a finished run for a Pushgateway.
const pushTimeout = 10 * time.Second

// metricsFlags name the destination of a job's metrics. A job ends before Prometheus could scrape it.
type metricsFlags struct {
	MetricsFile string `help:"Write the run's metrics to this file, which ends in .prom, for node_exporter's textfile collector." placeholder:"FILE" env:"DAYBOOK_METRICS_FILE"`
	Pushgateway string `help:"Push the run's metrics to this Pushgateway, as job daybook_publisher." placeholder:"URL" env:"DAYBOOK_PUSHGATEWAY"`
}

// Validate returns the faults of the flags.
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

// registry returns the registry of the run's metrics, or nil if no flag asks for metrics.
func (f *metricsFlags) registry() *prometheus.Registry {
	if f.MetricsFile == "" && f.Pushgateway == "" {
		return nil
	}
	return prometheus.NewRegistry()
}

// leave writes and pushes the metrics. A failure is logged and does not change the exit code, which is about the
// release; an alert on the age of the metrics reports that they are missing.
func (f *metricsFlags) leave(c *cli.Context, r *prometheus.Registry) {
	if f.MetricsFile != "" {
		if err := prometheus.WriteToTextfile(f.MetricsFile, r); err != nil {
			c.Log.Warn("failed to write metrics file", "err", err)
		}
	}
	if f.Pushgateway == "" {
		return
	}
	// The metrics of an interrupted run are written too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c), pushTimeout)
	defer cancel()
	pusher := push.New(f.Pushgateway, "daybook_publisher").Gatherer(r).Client(&http.Client{Timeout: pushTimeout})
	if host, err := os.Hostname(); err == nil {
		pusher.Grouping("instance", host)
	}
	if err := pusher.PushContext(ctx); err != nil {
		c.Log.Warn("failed to push metrics", "err", err)
	}
}
