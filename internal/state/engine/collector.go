package engine

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
)

// collector is the database's health as metrics, read when they are gathered. It takes no lock that writers hold: a
// full disk stalls a write that holds one, and that is when these metrics are needed.
type collector struct {
	dir    string
	fs     vfs.FS
	health *health

	mu struct {
		sync.Mutex
		db *pebble.DB // nil after close
	}
}

// newCollector makes a collector and registers it.
func newCollector(db *pebble.DB, dir string, fs vfs.FS, h *health, reg prometheus.Registerer) *collector {
	c := &collector{dir: dir, fs: fs, health: h}
	c.mu.db = db
	reg.MustRegister(c)
	return c
}

// close ends the use of the database. Afterwards there are no metrics.
func (c *collector) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.db = nil
}

var (
	descSublevels = describe("l0_sublevels", "Sublevels of level 0: sorted runs that a look-up may have to read. Big batches wait at 12, all writes at 20.")
	descDebt      = describe("compaction_debt_bytes", "Bytes still to compact until the database is in its best shape.")
	descFailures  = describe("background_errors_total", "Errors of flushes and compactions, which are retried.")
	descUp        = describe("accepts_writes", "1 while the storage takes writes; 0 while it is full, stalled or slow.")
	descBytes     = describe("disk_bytes", "Bytes of the database on disk: tables, log, and what is not yet deleted.")
	descWAL       = describe("wal_bytes", "Bytes of write-ahead log that a start would have to replay.")
	descFree      = describe("disk_available_bytes", "Bytes that the state's file system has free for this user.")
)

func describe(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("daybook_state_"+name, help, nil, nil)
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descSublevels, descDebt, descFailures, descUp, descBytes, descWAL, descFree} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.db == nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	m := c.mu.db.Metrics()
	gauge(descSublevels, float64(m.Levels[0].Sublevels))
	gauge(descDebt, float64(m.Compact.EstimatedDebt))
	gauge(descBytes, float64(m.DiskSpaceUsage()))
	gauge(descWAL, float64(m.WAL.Size))
	up := 1.0
	if c.health.err() != nil {
		up = 0
	}
	gauge(descUp, up)
	ch <- prometheus.MustNewConstMetric(descFailures, prometheus.CounterValue, float64(c.health.failures()))
	// A file system in memory has no usage to report.
	if usage, err := c.fs.GetDiskUsage(c.dir); err == nil {
		gauge(descFree, float64(usage.AvailBytes))
	}
}
