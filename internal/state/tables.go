package state

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"daybook/internal/extsort"
	"daybook/internal/state/engine"
	"daybook/internal/state/format"
)

// A big write is sorted and written as tables, which Pebble takes over in one
// atomic and durable call. It spares the WAL, the memtable and the flush.

// tableEnds split a write's rows into tables by keyspace, so that a compaction
// of one keyspace does not have to move the others.
var tableEnds = [...]byte{format.SpaceLocator, format.SpaceRecord, format.SpaceMarker, format.SpaceOverlay, format.SpaceQuarantine, 0xff}

// deepL0 is how many sublevels of L0 a write waits for. Pebble itself never
// holds an Ingest back, and reads would become slower without bound.
const deepL0 = 12

// How often L0 is looked at while it is deep, and how many looks in a row that
// see no compaction mean that none will come.
const (
	lookEvery = 5 * time.Millisecond
	idleLooks = 10
)

// commitTables makes the collected rows durable by way of tables. An error
// is returned only while nothing was handed over.
func (s *Store) commitTables(c *extsort.Rows) error {
	s.awaitCompaction()
	paths, err := s.writeTables(c)
	if err != nil {
		return errors.Join(fmt.Errorf("write tables: %w", err), s.emptyTables())
	}
	if err := s.db.Ingest(context.Background(), paths); err != nil {
		engine.Stop(s.o.Fatal, fmt.Errorf("write state: take over tables: %w", err))
	}
	s.metrics.tables.Add(float64(len(paths)))
	return nil
}

// awaitCompaction waits while L0 is deep and compactions mend that. The metrics
// move while it does. Where Pebble sees nothing to compact, nothing is waited for.
func (s *Store) awaitCompaction() {
	idle := 0
	for at := s.o.Now(); ; {
		now := s.o.Now()
		s.metrics.compactionWait.Add(max(now.Sub(at), 0).Seconds())
		m := s.db.Metrics()
		if m.Levels[0].Sublevels < deepL0 {
			return
		}
		if m.Compact.NumInProgress > 0 {
			idle = 0
		} else if idle++; idle > idleLooks {
			return
		}
		at = now
		time.Sleep(lookEvery)
	}
}

// tableRows is of about how many rows a table of a big write is. Records come in the order of time, mostly: of several
// tables only those of the newest days overlap what is there, and Pebble takes the others over into its lowest level, where
// nothing moves them again.
const tableRows = 100_000

// writeTables sorts the rows and writes them as tables, on all cores.
func (s *Store) writeTables(c *extsort.Rows) (paths []string, err error) {
	dir := s.tablesDir()
	if err := s.o.FS.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	groups := c.Split(tableEnds[:])
	sorted := make([][]extsort.Ref, len(groups))
	var sorting sync.WaitGroup
	for i := range groups {
		sorting.Go(func() { sorted[i] = groups[i].Sort() })
	}
	sorting.Wait()
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, rows := range sorted {
		for n := (len(rows) + tableRows - 1) / tableRows; n > 0; n-- {
			share := rows[:len(rows)/n]
			rows = rows[len(share):]
			path := filepath.Join(dir, fmt.Sprintf("%d.sst", len(paths)))
			paths = append(paths, path)
			g.Go(func() error { return s.writeTable(path, c, share) })
		}
	}
	return paths, g.Wait()
}

func (s *Store) writeTable(path string, c *extsort.Rows, rows []extsort.Ref) error {
	w, err := s.db.NewTable(path, engine.BatchTable)
	if err != nil {
		return err
	}
	for len(rows) > 0 && err == nil {
		near := rows[:min(len(rows), extsort.PrefetchRows)]
		c.Prefetch(near)
		for _, k := range near {
			key, value, remove := c.Row(k.Row)
			if remove {
				err = w.Delete(key)
			} else {
				err = w.Set(key, value)
			}
			if err != nil {
				break
			}
		}
		rows = rows[len(near):]
	}
	return errors.Join(err, w.Close())
}
