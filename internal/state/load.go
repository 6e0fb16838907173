package state

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sync/errgroup"

	"daybook/internal/billing"
	"daybook/internal/dedup"
	"daybook/internal/extsort"
	"daybook/internal/state/engine"
	"daybook/internal/state/format"
)

// MinLoadMemory is what sorting needs to be worth its name.
const MinLoadMemory = 16 << 20

// loadTableBytes is of how many bytes of rows a load makes one table.
const loadTableBytes = 256 << 20

// errInconsistentLoad is returned by Commit when merging does not yield what was added: a fault of this program, or of the
// memory and disk that sorting used. The state is unchanged and not damaged.
var errInconsistentLoad = errors.New("bulk load is inconsistent, the state is unchanged")

// loadError wraps an error of merging. Rows that a load wrote itself and cannot read are not damage of the state.
func loadError(err error) error {
	if errors.Is(err, ErrDamaged) || errors.Is(err, extsort.ErrDamaged) {
		return fmt.Errorf("%w: %v", errInconsistentLoad, err)
	}
	return fmt.Errorf("load: %w", err)
}

// Load fills a state that holds no events yet, in one atomic write of any size. Nothing is looked up: what
// Take is given is sorted, and Commit merges it. So an event's versions meet there, all at once, and
// are resolved as if its partitions had been read one after the other.
//
// Memory is bounded, what does not fit is on disk in files without a name. A Load that is not
// committed leaves nothing. Take and Advance may be called at once, Take by one goroutine a worker; the rest
// is for one goroutine, when they have ended. Nobody else writes events meanwhile.
type Load struct {
	s         *Store
	w         *write // Advance's
	workers   []*loadWorker
	delivered map[PartitionID]int64 // by Advance
	memory    int                   // that runs are read and written with, in bytes
	seeds     [2]maphash.Seed       // of tell
	merged    atomic.Int64          // rows, by Commit
	rows      atomic.Int64          // of versions and records, in runs
	tables    []string              // written by Commit, to be taken over
}

// NewLoad begins a load that sorts in memory bytes. Close it.
func (s *Store) NewLoad(memory int64) (_ *Load, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return nil, errClosed
	}
	if err := s.vacantLocked(); err != nil {
		return nil, err
	}
	s.filling.Wait()
	s.filter, s.held, s.mu.unfiltered = newFilter(0), newFilter(0), true
	l := &Load{
		s: s, w: s.beginLocked(format.EntryBatch), delivered: map[PartitionID]int64{}, memory: int(memory / 8),
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
	}
	l.w.load = l
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	if err := s.o.FS.MkdirAll(s.tablesDir(), 0o700); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	cores := runtime.GOMAXPROCS(0)
	for i := range cores {
		k := &loadWorker{
			l: l, number: i, tenants: map[billing.TenantID]bool{}, taken: map[PartitionID]*loadTaken{},
			w: l.newWrite(map[billing.AccountDay]dedup.Change{}),
		}
		l.workers = append(l.workers, k)
		share := memory / int64(cores)
		for _, part := range []struct {
			sorter **extsort.Sorter
			name   string
			limit  int64
		}{
			{&k.versions, "versions", 7 * share / 16}, {&k.records, "records", 7 * share / 16},
			{&k.fates, "fates", share / 16}, {&k.rest, "rest", share / 16},
		} {
			path := filepath.Join(s.tablesDir(), fmt.Sprintf("%s-%d", part.name, i))
			*part.sorter = extsort.NewSorter(extsort.Options{Memory: part.limit, Create: func() (extsort.File, error) { return s.namelessFile(path) }})
		}
	}
	return l, nil
}

// namelessFile makes a file and removes its name, so that nothing of it is left by whatever ends the process.
func (s *Store) namelessFile(path string) (vfs.File, error) {
	file, err := s.o.FS.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	if err := s.o.FS.Remove(path); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// vacantLocked refuses a state that has events.
func (s *Store) vacantLocked() error {
	if t := &s.mu.journal.Totals; t.Locators != 0 || t.Quarantined != 0 {
		return fmt.Errorf("load: the state holds %d events and %d quarantined records already", t.Locators, t.Quarantined)
	}
	return nil
}

// Close lets go of what was added.
func (l *Load) Close() error {
	var errs []error
	for _, k := range l.workers {
		errs = append(errs, k.versions.Close(), k.records.Close(), k.fates.Close(), k.rest.Close())
	}
	return errors.Join(append(errs, l.s.emptyTables())...)
}

// newWrite is a write for the rows of single events.
func (l *Load) newWrite(dirty map[billing.AccountDay]dedup.Change) *write {
	return &write{s: l.s, sequence: l.w.sequence, at: l.w.at, dirty: dirty}
}

// Workers is how many goroutines may call Take at once.
func (l *Load) Workers() int { return len(l.workers) }

// Take adds a record, by one of the workers; in what order, and by which, does not matter. Nothing of
// the record's memory is kept. After an error the load is to be closed.
func (l *Load) Take(worker int, r *Record) error {
	if err := l.workers[worker].take(r); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	return nil
}

// Advance moves positions over records that are taken by and by. Commit refuses a load of which others were.
func (l *Load) Advance(advances []Advance) error {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	for i := range advances {
		a := &advances[i]
		if err := l.w.advance(a); err != nil {
			return err
		}
		l.delivered[a.Partition] += a.Delivered
	}
	l.w.spans = l.w.spans[:0] // Commit's are of the whole
	return nil
}

// Progress is how many rows Commit has merged, of how many there are, while it goes on.
func (l *Load) Progress() (merged, total int64) {
	total = l.rows.Load()
	return min(l.merged.Load(), total), total
}

// Commit makes all of it durable. Before that, an error leaves the state as it was.
func (l *Load) Commit(ctx context.Context) (Applied, error) {
	s, w := l.s, l.w
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return Applied{}, errClosed
	}
	if err := s.vacantLocked(); err != nil {
		return Applied{}, err
	}
	w.sequence, w.at = s.mu.journal.Head.Sequence+1, s.o.Now().UTC()
	w.slots.reset()
	s.mu.changes.Reset()
	w.totals, w.spans = s.mu.journal.Totals, nil
	for _, id := range format.SortedPartitions(w.positions) {
		var from int64
		if p := s.mu.positions[id]; p != nil {
			from = p.NextOffset
		} else {
			from = w.positions[id].FirstOffset
		}
		w.spans = append(w.spans, format.Span{Partition: id, From: from, Next: w.positions[id].NextOffset})
	}
	if err := l.account(); err != nil {
		return Applied{}, err
	}
	if err := l.merge(ctx); err != nil {
		return Applied{}, errors.Join(loadError(err), s.emptyTables())
	}
	return w.finish()
}

// account compares the records taken with what the positions moved over, and counts their outcomes as if each event had one version.
func (l *Load) account() error {
	w := l.w
	left := maps.Clone(l.delivered)
	for _, k := range l.workers {
		for id, of := range k.taken {
			p := w.positions[id]
			i := slices.IndexFunc(w.spans, func(s format.Span) bool { return s.Partition == id })
			if i < 0 || of.first < w.spans[i].From || of.last >= w.spans[i].Next {
				return fmt.Errorf("%w: records %d to %d of partition %d of topic %d, of which not all were delivered", ErrPosition,
					of.first, of.last, id.Partition, id.Topic)
			}
			left[id] -= of.records
			w.count(p, &of.outcomes)
			w.totals.Quarantined += of.outcomes[billing.Quarantined]
		}
	}
	for id, n := range left {
		if n != 0 {
			return fmt.Errorf("%w: partition %d of topic %d: %d records more delivered than taken", ErrPosition, id.Partition, id.Topic, n)
		}
	}
	return nil
}

// merge writes the tables of locators and records.
func (l *Load) merge(ctx context.Context) error {
	versions, err := l.runs(func(k *loadWorker) *extsort.Sorter { return k.versions })
	if err != nil {
		return err
	}
	records, err := l.runs(func(k *loadWorker) *extsort.Sorter { return k.records })
	if err != nil {
		return err
	}
	for _, r := range append(slices.Clone(versions), records...) {
		l.rows.Add(int64(r.Rows()))
	}
	if err := l.each(ctx, versions, (*loadWorker).fold); err != nil {
		return err
	}
	w := l.w
	var settled, taken int64
	for _, k := range l.workers {
		if err := k.versions.Close(); err != nil {
			return err
		}
		k.folded(w)
		settled += k.settled
	}
	for o, n := range w.outcomes {
		if billing.Outcome(o) != billing.Quarantined {
			taken += n
		}
	}
	if settled != taken {
		return fmt.Errorf("%w: %d versions were added, %d were merged", errInconsistentLoad, taken, settled)
	}
	fates, err := l.runs(func(k *loadWorker) *extsort.Sorter { return k.fates })
	if err != nil {
		return err
	}
	if err := l.each(ctx, append(records, fates...), (*loadWorker).choose); err != nil {
		return err
	}
	var live int64
	for _, k := range l.workers {
		live += k.live
		w.totals.Records += k.kept
		w.totals.RecordDigest.Add(k.digest)
		if err := errors.Join(k.records.Close(), k.fates.Close()); err != nil {
			return err
		}
	}
	if n := w.totals.Records; n != live {
		return fmt.Errorf("%w: %d records were merged, locators refer to %d", errInconsistentLoad, n, live)
	}
	return nil
}

// runs are the runs of one kind of all workers.
func (l *Load) runs(of func(*loadWorker) *extsort.Sorter) (all []extsort.Run, err error) {
	runs := make([][]extsort.Run, len(l.workers))
	var g errgroup.Group
	for i, k := range l.workers {
		g.Go(func() (err error) {
			runs[i], err = of(k).Finish()
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(runs...), nil
}

// each shares the rows of runs out to the workers and takes the tables they write.
func (l *Load) each(ctx context.Context, runs []extsort.Run, do func(*loadWorker, context.Context, *extsort.Merger, *loadTables) error) error {
	keys := extsort.SplitRuns(runs, len(l.workers))
	outs := make([]*loadTables, len(keys)+1)
	g, ctx := errgroup.WithContext(ctx)
	var low []byte
	for i := range outs {
		var high []byte
		if i < len(keys) {
			high = keys[i]
		}
		m, err := extsort.NewMerger(runs, low, high, l.memory/len(outs))
		if err != nil {
			return errors.Join(err, g.Wait())
		}
		low = high
		out := &loadTables{s: l.s, name: fmt.Sprintf("load-%d-%d", len(l.tables), i)}
		outs[i] = out
		g.Go(func() error { return errors.Join(do(l.workers[i], ctx, m, out), out.finish()) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, out := range outs {
		l.tables = append(l.tables, out.paths...)
	}
	return nil
}

// commit makes the load durable, together with the rows collected.
func (l *Load) commit(c *extsort.Rows) error {
	rest := l.workers[0].rest
	for i := range c.Len() {
		key, value, _ := c.Row(int32(i))
		rest.Rows.Set(key, value)
	}
	runs, err := l.runs(func(k *loadWorker) *extsort.Sorter { return k.rest })
	if err == nil {
		err = l.each(context.Background(), runs, (*loadWorker).copy)
	}
	if err != nil {
		return errors.Join(loadError(err), l.s.emptyTables())
	}
	if err := l.s.db.Ingest(context.Background(), l.tables); err != nil {
		engine.Stop(l.s.o.Fatal, fmt.Errorf("write state: take over tables: %w", err))
	}
	l.s.metrics.tables.Add(float64(len(l.tables)))
	return nil
}

// loadTables writes rows, which come in the order of their keys, as tables that Pebble can take
// over into its lowest level: none overlaps another. They are packed fast; what compactions
// come to move later is packed better.
type loadTables struct {
	s     *Store
	name  string
	w     *sstable.Writer
	end   byte // of the keyspaces of the table in hand
	bytes int  // in it
	paths []string
}

func (t *loadTables) set(key, value []byte) error {
	if t.w != nil && (t.bytes > loadTableBytes || key[0] >= t.end) {
		if err := t.finish(); err != nil {
			return err
		}
	}
	if t.w == nil {
		path := filepath.Join(t.s.tablesDir(), fmt.Sprintf("%s-%d.sst", t.name, len(t.paths)))
		kind := engine.LoadTable
		if key[0] == format.SpaceRecord {
			// Nothing is above or below these tables, and a record is looked up where a locator says that it is.
			kind = engine.UnfilteredLoadTable
		}
		var err error
		if t.w, err = t.s.db.NewTable(path, kind); err != nil {
			return err
		}
		t.paths = append(t.paths, path)
		i := 0
		for key[0] >= tableEnds[i] {
			i++
		}
		t.end, t.bytes = tableEnds[i], 0
	}
	t.bytes += len(key) + len(value)
	return t.w.Set(key, value)
}

// finish ends the table in hand, durably.
func (t *loadTables) finish() error {
	if t.w == nil {
		return nil
	}
	err := t.w.Close()
	t.w = nil
	return err
}
