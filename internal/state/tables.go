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

// A large write is sorted and written as tables, which Pebble ingests in one atomic and durable call. That spares
// the WAL, the memtable and the flush.

// tableEnds divide rows among tables by keyspace: a table ends before each of these bytes. So a compaction of one
// keyspace does not rewrite the others.
var tableEnds = [...]byte{format.SpaceLocator, format.SpaceRecord, format.SpaceMarker, format.SpaceOverlay, format.SpaceQuarantine, 0xff}

// maxSublevels is the number of sublevels of L0 at which a large write waits for compactions. Pebble never delays an
// ingestion, and each sublevel makes reads slower.
const maxSublevels = 12

// L0 is polled while it has too many sublevels. If no compaction was running in idlePolls polls in a row, none will
// come.
const (
	pollInterval = 5 * time.Millisecond
	idlePolls    = 10
)

// writeAsTables makes rows durable by way of tables. An error is returned only while nothing was handed to the
// database.
func (s *Store) writeAsTables(rows *extsort.Rows) error {
	s.awaitCompaction()
	paths, err := s.writeTables(rows)
	if err != nil {
		return errors.Join(fmt.Errorf("write tables: %w", err), s.emptyTables())
	}
	s.ingestTables(paths)
	return nil
}

// ingestTables makes the rows of tables visible, in one atomic and durable step. A failure ends the process.
func (s *Store) ingestTables(paths []string) {
	if err := s.db.Ingest(context.Background(), paths); err != nil {
		engine.Stop(s.o.Fatal, fmt.Errorf("write state: ingest tables: %w", err))
	}
	s.metrics.tables.Add(float64(len(paths)))
}

// awaitCompaction waits until L0 has few sublevels, or until Pebble sees nothing to compact. Metrics are updated
// meanwhile.
func (s *Store) awaitCompaction() {
	idle := 0
	for at := s.o.Now(); ; {
		now := s.o.Now()
		s.metrics.compactionWait.Add(max(now.Sub(at), 0).Seconds())
		m := s.db.Metrics()
		if m.Levels[0].Sublevels < maxSublevels {
			return
		}
		if m.Compact.NumInProgress > 0 {
			idle = 0
		} else if idle++; idle > idlePolls {
			return
		}
		at = now
		time.Sleep(pollInterval)
	}
}

// tableRows is about the number of rows of a table of a large write. Records come mostly in the order of time: of
// several tables only those of the newest days overlap stored ones, and Pebble places the others in its lowest
// level, where no compaction rewrites them.
const tableRows = 100_000

// writeTables sorts rows and writes them as tables, on all cores.
func (s *Store) writeTables(rows *extsort.Rows) (paths []string, err error) {
	dir := s.tablesDir()
	if err := s.o.FS.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	groups := rows.Split(tableEnds[:])
	sorted := make([][]extsort.Ref, len(groups))
	var sorting sync.WaitGroup
	for i := range groups {
		sorting.Go(func() { sorted[i] = groups[i].Sort() })
	}
	sorting.Wait()
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, refs := range sorted {
		for n := (len(refs) + tableRows - 1) / tableRows; n > 0; n-- {
			share := refs[:len(refs)/n]
			refs = refs[len(share):]
			path := filepath.Join(dir, fmt.Sprintf("%d.sst", len(paths)))
			paths = append(paths, path)
			g.Go(func() error { return s.writeTable(path, rows, share) })
		}
	}
	return paths, g.Wait()
}

// writeTable writes sorted rows as one table.
func (s *Store) writeTable(path string, rows *extsort.Rows, refs []extsort.Ref) error {
	w, err := s.db.NewTable(path, engine.BatchTable)
	if err != nil {
		return err
	}
	for len(refs) > 0 && err == nil {
		next := refs[:min(len(refs), extsort.PrefetchRows)]
		rows.Prefetch(next)
		for _, ref := range next {
			key, value, isDeletion := rows.Row(ref.Row)
			if isDeletion {
				err = w.Delete(key)
			} else {
				err = w.Set(key, value)
			}
			if err != nil {
				break
			}
		}
		refs = refs[len(next):]
	}
	return errors.Join(err, w.Close())
}
