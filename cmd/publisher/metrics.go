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

// metricsFlags say where a job writes its metrics, because it has ended before a scrape could reach it.
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

// registry collects the run's metrics; nil where no flag asks for them.
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
	// The metrics of a run that was told to stop count too.
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
