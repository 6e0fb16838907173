// Package monitor serves /metrics, /healthz and /readyz on loopback by default.
// It owns the HTTP server, not the metrics: every package registers its own.
package monitor
