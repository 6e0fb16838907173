package state

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sync/errgroup"

	"daybook/internal/billing"
	"daybook/internal/dedup"
	"daybook/internal/extsort"
	"daybook/internal/state/format"
)

// MinLoadMemory is the smallest memory that still yields runs large enough to merge in one pass.
const MinLoadMemory = 16 << 20

// errInconsistentLoad is returned by Commit when merging does not yield what was added: a fault of this program, or
// of the memory and disk that sorting used. The state is unchanged and not damaged.
var errInconsistentLoad = errors.New("bulk load is inconsistent, the state is unchanged")

// loadError wraps an error of merging. Rows that a load wrote itself and cannot read are not damage of the state.
func loadError(err error) error {
	if errors.Is(err, ErrDamaged) || errors.Is(err, extsort.ErrDamaged) {
		//nolint:errorlint // the cause is not wrapped: a fault of the sort is no damage of the state
		return fmt.Errorf("%w: %v", errInconsistentLoad, err)
	}
	return fmt.Errorf("load: %w", err)
}

// BulkLoad fills a state that has no events yet, in one atomic write of any size. Nothing is looked up: records are
// sorted as they are added, and Commit merges them. So all versions of an event meet, and are resolved as if its
// partitions had been read one after the other.
//
// Memory is bounded; what does not fit is in files without a name, which end with the process. A load that is not
// committed leaves nothing. Add may be called by one goroutine a worker, and Advance at the same time; the other
// methods are for one goroutine after those have ended. No other method of the store may write events meanwhile.
type BulkLoad struct {
	s           *Store
	tx          *transaction // of the whole load
	workers     []*bulkWorker
	delivered   map[PartitionID]int64 // by Advance
	mergeMemory int                   // bytes
	merged      atomic.Int64          // rows of versions and records that Commit has merged
	total       atomic.Int64          // rows of versions and records
	tables      []string              // paths of tables that Commit has written
}

// NewBulkLoad begins a load that sorts in memory bytes. Close it.
func (s *Store) NewBulkLoad(memory int64) (_ *BulkLoad, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return nil, errClosed
	}
	if err := s.checkEmptyLocked(); err != nil {
		return nil, err
	}
	s.filling.Wait()
	// Nothing asks filters during a load; those of the loaded state are made when more events come.
	s.mu.filters, s.mu.unfiltered = &filters{events: newBloomFilter(0), quarantined: newBloomFilter(0)}, true
	l := &BulkLoad{s: s, tx: s.beginLocked(format.EntryBatch), delivered: map[PartitionID]int64{}, mergeMemory: int(memory / 8)}
	l.tx.load = l
	if err := s.o.FS.MkdirAll(s.tablesDir(), 0o700); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	cores := runtime.GOMAXPROCS(0)
	for i := range cores {
		l.workers = append(l.workers, newBulkWorker(l, i, memory/int64(cores)))
	}
	return l, nil
}

// tempFile makes a file without a name, so that nothing of it is left however the process ends.
func (s *Store) tempFile(name string) (vfs.File, error) {
	path := filepath.Join(s.tablesDir(), name)
	file, err := s.o.FS.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	if err := s.o.FS.Remove(path); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// checkEmptyLocked refuses a state that has events.
func (s *Store) checkEmptyLocked() error {
	if t := &s.mu.journal.Totals; t.Locators != 0 || t.Quarantined != 0 {
		return fmt.Errorf("load: the state holds %d events and %d quarantined records already", t.Locators, t.Quarantined)
	}
	return nil
}

// Close releases memory and files.
func (l *BulkLoad) Close() error {
	var errs []error
	for _, w := range l.workers {
		errs = append(errs, w.versions.Close(), w.records.Close(), w.placements.Close(), w.rest.Close())
	}
	return errors.Join(append(errs, l.s.emptyTables())...)
}

// newTransaction returns a transaction for the rows of single events. It has no positions and is not committed.
func (l *BulkLoad) newTransaction(dirty map[billing.AccountDay]dedup.Change) *transaction {
	return &transaction{s: l.s, filters: l.tx.filters, sequence: l.tx.sequence, at: l.tx.at, dirty: dirty}
}

// Workers is the number of goroutines that may call Add at once.
func (l *BulkLoad) Workers() int { return len(l.workers) }

// Add adds a record as one of the workers. Neither the order nor the worker matters. The record's memory is not
// retained. After an error the load must be closed.
func (l *BulkLoad) Add(worker int, r *Record) error {
	if err := l.workers[worker].add(r); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	return nil
}

// Advance declares offset ranges whose records are added concurrently. Commit fails if the records added do not match.
func (l *BulkLoad) Advance(advances []Advance) error {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	for i := range advances {
		a := &advances[i]
		if err := l.tx.advance(a); err != nil {
			return err
		}
		l.delivered[a.Partition] += a.Delivered
	}
	l.tx.spans = l.tx.spans[:0] // Commit makes one span a partition
	return nil
}

// Progress returns how many rows Commit has merged, and how many there are. It may be called during Commit.
func (l *BulkLoad) Progress() (merged, total int64) {
	total = l.total.Load()
	return min(l.merged.Load(), total), total
}

// Commit makes everything that was added durable in one atomic write. As with Store.Apply, an error means that the
// state is as it was.
func (l *BulkLoad) Commit(ctx context.Context) (Applied, error) {
	s, tx := l.s, l.tx
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return Applied{}, errClosed
	}
	if err := s.checkEmptyLocked(); err != nil {
		return Applied{}, err
	}
	// Decisions may have been written since the load began.
	tx.sequence, tx.at = s.mu.journal.Head.Sequence+1, s.o.Now().UTC()
	tx.events.reset()
	s.mu.rows.Reset()
	tx.totals, tx.spans = s.mu.journal.Totals, nil
	for _, id := range format.SortedPartitions(tx.positions) {
		from := tx.positions[id].FirstOffset
		if p := s.mu.positions[id]; p != nil {
			from = p.NextOffset
		}
		tx.spans = append(tx.spans, format.Span{Partition: id, From: from, Next: tx.positions[id].NextOffset})
	}
	if err := l.countRecords(); err != nil {
		return Applied{}, err
	}
	if err := l.merge(ctx); err != nil {
		return Applied{}, errors.Join(loadError(err), s.emptyTables())
	}
	return tx.commit()
}

// countRecords compares the records added with the ranges declared, and counts their outcomes as if each event had one
// version.
func (l *BulkLoad) countRecords() error {
	tx := l.tx
	missing := maps.Clone(l.delivered)
	for _, w := range l.workers {
		for id, added := range w.added {
			i := slices.IndexFunc(tx.spans, func(s format.Span) bool { return s.Partition == id })
			if i < 0 || added.first < tx.spans[i].From || added.last >= tx.spans[i].Next {
				return fmt.Errorf("%w: partition %d of topic %d: records %d to %d were added, but not all were delivered", ErrPosition,
					id.Partition, id.Topic, added.first, added.last)
			}
			missing[id] -= added.records
			tx.count(tx.positions[id], &added.outcomes)
			tx.totals.Quarantined += added.outcomes[billing.Quarantined]
		}
	}
	for id, n := range missing {
		if n != 0 {
			return fmt.Errorf("%w: partition %d of topic %d: %d records more delivered than added", ErrPosition, id.Partition, id.Topic, n)
		}
	}
	return nil
}

// merge writes the tables of locators, then those of records.
func (l *BulkLoad) merge(ctx context.Context) error {
	versions, err := l.finish(func(w *bulkWorker) *extsort.Sorter { return w.versions })
	if err != nil {
		return err
	}
	records, err := l.finish(func(w *bulkWorker) *extsort.Sorter { return w.records })
	if err != nil {
		return err
	}
	for _, r := range append(slices.Clone(versions), records...) {
		l.total.Add(int64(r.Rows()))
	}
	for _, w := range l.workers {
		w.startMerging()
	}
	if err := l.eachRange(ctx, [][]extsort.Run{versions}, (*bulkWorker).mergeVersions); err != nil {
		return err
	}
	tx := l.tx
	var merged, added int64
	for _, w := range l.workers {
		if err := w.versions.Close(); err != nil {
			return err
		}
		w.addTo(tx)
		merged += w.mergedVersions
	}
	for o, n := range tx.outcomes {
		if billing.Outcome(o) != billing.Quarantined {
			added += n
		}
	}
	if merged != added {
		return fmt.Errorf("%w: %d versions were added, %d were merged", errInconsistentLoad, added, merged)
	}
	placements, err := l.finish(func(w *bulkWorker) *extsort.Sorter { return w.placements })
	if err != nil {
		return err
	}
	if err := l.eachRange(ctx, [][]extsort.Run{records, placements}, (*bulkWorker).mergeRecords); err != nil {
		return err
	}
	var live int64
	for _, w := range l.workers {
		live += w.liveEvents
		tx.totals.Records += w.writtenRecords
		tx.totals.RecordDigest = tx.totals.RecordDigest.Plus(w.recordDigest)
		if err := errors.Join(w.records.Close(), w.placements.Close()); err != nil {
			return err
		}
	}
	if n := tx.totals.Records; n != live {
		return fmt.Errorf("%w: %d records were merged, locators refer to %d", errInconsistentLoad, n, live)
	}
	return nil
}

// finish finishes one sorter of each worker and returns their runs.
func (l *BulkLoad) finish(sorter func(*bulkWorker) *extsort.Sorter) ([]extsort.Run, error) {
	runs := make([][]extsort.Run, len(l.workers))
	var g errgroup.Group
	for i, w := range l.workers {
		g.Go(func() (err error) {
			runs[i], err = sorter(w).Finish()
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(runs...), nil
}

// eachRange divides the keys of all runs into a range a worker. Each worker calls do with a merger for each of the
// lists of runs, and writes tables.
func (l *BulkLoad) eachRange(ctx context.Context, runs [][]extsort.Run, do func(*bulkWorker, context.Context, []*extsort.Merger, *tableWriter) error) error {
	keys := extsort.SplitRuns(slices.Concat(runs...), len(l.workers))
	writers := make([]*tableWriter, len(keys)+1)
	g, ctx := errgroup.WithContext(ctx)
	var low []byte
	for i := range writers {
		var high []byte
		if i < len(keys) {
			high = keys[i]
		}
		mergers := make([]*extsort.Merger, len(runs))
		for j := range runs {
			var err error
			if mergers[j], err = extsort.NewMerger(runs[j], low, high, l.mergeMemory/len(writers)/len(runs)); err != nil {
				return errors.Join(err, g.Wait())
			}
		}
		low = high
		out := &tableWriter{s: l.s, name: fmt.Sprintf("load-%d-%d", len(l.tables), i)}
		writers[i] = out
		g.Go(func() error { return errors.Join(do(l.workers[i], ctx, mergers, out), out.finish()) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, out := range writers {
		l.tables = append(l.tables, out.paths...)
	}
	return nil
}

// write makes the load durable, together with the other rows of its transaction. An error is returned only while
// nothing was handed to the database.
func (l *BulkLoad) write(rows *extsort.Rows) error {
	rest := l.workers[0].rest
	for i := range rows.Len() {
		key, value, _ := rows.Row(int32(i)) // a load deletes nothing
		rest.Rows.Set(key, value)
	}
	runs, err := l.finish(func(w *bulkWorker) *extsort.Sorter { return w.rest })
	if err == nil {
		err = l.eachRange(context.Background(), [][]extsort.Run{runs}, (*bulkWorker).copyRows)
	}
	if err != nil {
		return errors.Join(loadError(err), l.s.emptyTables())
	}
	l.s.ingestTables(l.tables)
	return nil
}
