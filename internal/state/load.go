package state

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"

	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sync/errgroup"

	"daybook/internal/billing"
)

// MinLoadMemory is what sorting needs to be worth its name.
const MinLoadMemory = 16 << 20

// loadTableBytes is of how many bytes of rows a load makes one table.
const loadTableBytes = 256 << 20

// Load fills a state that holds no events yet, in one atomic write of any size. Nothing is looked up: what
// Add is given is sorted, and Commit merges it. So an event's versions meet there, all at once, and
// are resolved as if its partitions had been read one after the other.
//
// Memory is bounded, what does not fit is on disk in files without a name. A Load that is not
// committed leaves nothing. One goroutine at a time; nobody else writes events meanwhile.
type Load struct {
	s       *Store
	w       *write
	workers []*loadWorker
	tables  []string // written by Commit, to be taken over
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
	s.held.filled.Store(false) // so that several may add to it
	l := &Load{s: s, w: s.beginLocked(entryBatch, 0)}
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
		k := &loadWorker{l: l, number: i, tenants: map[billing.TenantID]bool{}}
		l.workers = append(l.workers, k)
		share := memory / int64(cores)
		for _, part := range []struct {
			spool **spool
			name  string
			limit int64
		}{
			{&k.versions, "versions", 7 * share / 16}, {&k.records, "records", 7 * share / 16},
			{&k.fates, "fates", share / 16}, {&k.rest, "rest", share / 16},
		} {
			if *part.spool, err = newSpool(s.o.FS, s.tablesDir(), fmt.Sprintf("%s-%d", part.name, i), part.limit); err != nil {
				return nil, err
			}
		}
	}
	return l, nil
}

// vacantLocked refuses a state that has events.
func (s *Store) vacantLocked() error {
	if t := &s.mu.journal.totals; t.locators != 0 || t.quarantined != 0 {
		return fmt.Errorf("load: the state holds %d events and %d quarantined records already", t.locators, t.quarantined)
	}
	return nil
}

// Close lets go of what was added.
func (l *Load) Close() error {
	var errs []error
	for _, k := range l.workers {
		errs = append(errs, k.versions.close(), k.records.close(), k.fates.close(), k.rest.close())
	}
	return errors.Join(append(errs, l.s.emptyTables())...)
}

// Add takes a batch, of whose CaughtUp nothing is kept. After an error the load is to be closed. The
// batch's memory is not kept.
func (l *Load) Add(b *Batch) error {
	w := l.w
	advances, err := l.advance(b)
	if err != nil {
		return err
	}
	now := l.s.o.Now().UTC()
	var g errgroup.Group
	for i, k := range l.workers {
		from, to := len(b.Records)*i/len(l.workers), len(b.Records)*(i+1)/len(l.workers)
		g.Go(func() error { return k.add(b.Records[from:to], advances, now) })
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	for i := range b.Advances {
		a := &b.Advances[i]
		var n, quarantined int64
		for _, k := range l.workers {
			n += k.taken[a.Partition].records
			quarantined += k.taken[a.Partition].quarantined
			delete(k.taken, a.Partition)
		}
		if n != a.Delivered {
			return fmt.Errorf("%w: partition %d of topic %d: %d records more delivered than in the batch", ErrPosition,
				a.Partition.Partition, a.Partition.Topic, a.Delivered-n)
		}
		w.positions[a.Partition].Outcomes[billing.Quarantined] += quarantined
		w.outcomes[billing.Quarantined] += quarantined
		w.totals.quarantined += quarantined
	}
	return nil
}

// advance moves the positions of a load.
func (l *Load) advance(b *Batch) (map[PartitionID]*Advance, error) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	advances := make(map[PartitionID]*Advance, len(b.Advances))
	for i := range b.Advances {
		a := &b.Advances[i]
		if advances[a.Partition] != nil {
			return nil, fmt.Errorf("%w: partition %d of topic %d twice in a batch", ErrPosition, a.Partition.Partition, a.Partition.Topic)
		}
		advances[a.Partition] = a
		if err := l.w.advance(a); err != nil {
			return nil, err
		}
	}
	return advances, nil
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
	w.sequence, w.at = s.mu.journal.head.Sequence+1, s.o.Now().UTC()
	w.slots.reset(0)
	quarantined := w.totals.quarantined
	w.totals = s.mu.journal.totals
	w.totals.quarantined = quarantined
	w.spans = nil
	for _, id := range sortedPartitions(w.positions) {
		var from int64
		if p := s.mu.positions[id]; p != nil {
			from = p.NextOffset
		} else {
			from = w.positions[id].FirstOffset
		}
		w.spans = append(w.spans, span{id, from, w.positions[id].NextOffset})
	}
	if err := l.merge(ctx); err != nil {
		return Applied{}, errors.Join(fmt.Errorf("load: %w", err), s.emptyTables())
	}
	applied, err := w.finish()
	if err == nil {
		s.startFilters()
	}
	return applied, err
}

// merge writes the tables of locators and records.
func (l *Load) merge(ctx context.Context) error {
	versions, err := l.runs(func(k *loadWorker) *spool { return k.versions })
	if err != nil {
		return err
	}
	records, err := l.runs(func(k *loadWorker) *spool { return k.records })
	if err != nil {
		return err
	}
	if err := l.each(ctx, versions, (*loadWorker).fold); err != nil {
		return err
	}
	w := l.w
	for _, k := range l.workers {
		if err := k.versions.close(); err != nil {
			return err
		}
		k.merged(w)
	}
	fates, err := l.runs(func(k *loadWorker) *spool { return k.fates })
	if err != nil {
		return err
	}
	if err := l.each(ctx, append(records, fates...), (*loadWorker).choose); err != nil {
		return err
	}
	var live int64
	for _, k := range l.workers {
		live += k.live
		w.totals.records += k.kept
		w.totals.recordDigest.add(k.digest)
		if err := errors.Join(k.records.close(), k.fates.close()); err != nil {
			return err
		}
	}
	if n := w.totals.records; n != live {
		return fmt.Errorf("%w: %d records were sorted, locators name %d", ErrDamaged, n, live)
	}
	return nil
}

// runs are one kind of all workers' runs, all that was added in them.
func (l *Load) runs(of func(*loadWorker) *spool) (all []run, err error) {
	var g errgroup.Group
	for _, k := range l.workers {
		g.Go(of(k).spill)
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, k := range l.workers {
		sp := of(k)
		sp.changes = changes{}
		all = append(all, sp.runs...)
	}
	return all, nil
}

// each shares the rows of runs out to the workers and takes the tables they write.
func (l *Load) each(ctx context.Context, runs []run, do func(*loadWorker, context.Context, *merge, *loadTables) error) error {
	keys := split(runs, len(l.workers))
	outs := make([]*loadTables, len(keys)+1)
	g, ctx := errgroup.WithContext(ctx)
	var low []byte
	for i := range outs {
		var high []byte
		if i < len(keys) {
			high = keys[i]
		}
		m, err := newMerge(runs, low, high)
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
func (l *Load) commit(c *changes) error {
	rest := l.workers[0].rest
	for i := range c.rows {
		key, value, _ := c.row(int32(i))
		rest.set(key, value)
	}
	runs, err := l.runs(func(k *loadWorker) *spool { return k.rest })
	if err == nil {
		err = l.each(context.Background(), runs, (*loadWorker).copy)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("load: %w", err), l.s.emptyTables())
	}
	if err := l.s.db.Ingest(context.Background(), l.tables); err != nil {
		stop(l.s.o.Fatal, fmt.Errorf("write state: take over tables: %w", err))
	}
	l.s.metrics.tables.Add(float64(len(l.tables)))
	return nil
}

// loadTables writes rows, which come in the order of their keys, as tables that Pebble can take
// over into its lowest level: none overlaps another.
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
		file, err := t.s.o.FS.Create(path, vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		t.paths = append(t.paths, path)
		t.w = sstable.NewWriter(objstorageprovider.NewFileWritable(file), t.s.loadOptions)
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
