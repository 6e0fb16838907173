package state

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
)

// storage is the database's health as metrics, read when they are gathered. It has a lock of its
// own: the apply lock is held for as long as a full disk stalls a write, and that is when they are needed.
type storage struct {
	dir    string
	fs     vfs.FS
	health *health

	mu struct {
		sync.Mutex
		db *pebble.DB // nil once closed
	}
}

// newStorage makes and registers it.
func newStorage(db *pebble.DB, dir string, fs vfs.FS, h *health, reg prometheus.Registerer) *storage {
	s := &storage{dir: dir, fs: fs, health: h}
	s.mu.db = db
	reg.MustRegister(s)
	return s
}

// close ends the use of the database.
func (s *storage) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.db = nil
}

var (
	storageSublevels = describe("l0_sublevels", "Sublevels of level 0: sorted runs that a look-up may have to read. Big batches wait at 12, all writes at 20.")
	storageDebt      = describe("compaction_debt_bytes", "Bytes still to compact until the database is in its best shape.")
	storageFailures  = describe("background_errors_total", "Errors of flushes and compactions, which are retried.")
	storageUp        = describe("accepts_writes", "1 while the storage takes writes; 0 while it is full, stalled or slow.")
	storageBytes     = describe("disk_bytes", "Bytes of the database on disk: tables, log, and what is not yet deleted.")
	storageWAL       = describe("wal_bytes", "Bytes of write-ahead log that a start would have to replay.")
	storageFree      = describe("disk_available_bytes", "Bytes that the state's file system has free for this user.")
)

func describe(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("daybook_state_"+name, help, nil, nil)
}

// Describe is prometheus.Collector's.
func (s *storage) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{storageSublevels, storageDebt, storageFailures, storageUp, storageBytes, storageWAL, storageFree} {
		ch <- d
	}
}

// Collect is prometheus.Collector's. A closed state has no metrics.
func (s *storage) Collect(ch chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.db == nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	m := s.mu.db.Metrics()
	gauge(storageSublevels, float64(m.Levels[0].Sublevels))
	gauge(storageDebt, float64(m.Compact.EstimatedDebt))
	gauge(storageBytes, float64(m.DiskSpaceUsage()))
	gauge(storageWAL, float64(m.WAL.Size))
	up := 1.0
	if s.health.err() != nil {
		up = 0
	}
	gauge(storageUp, up)
	ch <- prometheus.MustNewConstMetric(storageFailures, prometheus.CounterValue, float64(s.health.failures()))
	// A file system in memory knows no bound.
	if usage, err := s.fs.GetDiskUsage(s.dir); err == nil {
		gauge(storageFree, float64(usage.AvailBytes))
	}
}
