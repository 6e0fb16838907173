package state

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/prometheus/client_golang/prometheus"
)

// gathered are a registry's values by name, of metrics without labels.
func gathered(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			switch {
			case m.Gauge != nil:
				values[f.GetName()] = m.Gauge.GetValue()
			case m.Counter != nil:
				values[f.GetName()] = m.Counter.GetValue()
			}
		}
	}
	return values
}

func TestStorageMetricsSayWhenTheDiskIsFull(t *testing.T) {
	var full atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst") {
			return errors.New("no space left on device")
		}
		return nil
	}))
	reg := prometheus.NewRegistry()
	o := testOptions(fs)
	o.Metrics = reg
	s := openTest(t, o)
	apply(t, s, 0, event("e", "a", 10, 100, 1, 0))
	before := gathered(t, reg)
	for name, ok := range map[string]bool{
		"daybook_state_accepts_writes":          before["daybook_state_accepts_writes"] == 1,
		"daybook_state_background_errors_total": before["daybook_state_background_errors_total"] == 0,
		"daybook_state_disk_bytes":              before["daybook_state_disk_bytes"] > 0,
		"daybook_state_wal_bytes":               before["daybook_state_wal_bytes"] > 0,
		"daybook_state_journal_entries":         before["daybook_state_journal_entries"] >= 1,
	} {
		if _, there := before[name]; !there || !ok {
			t.Errorf("%s is %v", name, before[name])
		}
	}

	// A full disk: the flush fails and is retried for ever; the metrics answer all the same.
	full.Store(true)
	flushed, err := s.db.AsyncFlush()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		v := gathered(t, reg)
		return v["daybook_state_accepts_writes"] == 0 && v["daybook_state_background_errors_total"] > 0
	})
	full.Store(false)
	<-flushed
	eventually(t, func() bool { return gathered(t, reg)["daybook_state_accepts_writes"] == 1 })

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if v, there := gathered(t, reg)["daybook_state_disk_bytes"]; there {
		t.Errorf("a closed state says that it has %v bytes", v)
	}
}

func eventually(t *testing.T, f func() bool) {
	t.Helper()
	for range 1000 {
		if f() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("it did not happen within the timeout")
}
