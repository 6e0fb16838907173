package state

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"daybook/internal/billing"
	"daybook/internal/extsort"
	"daybook/internal/state/engine"
	"daybook/internal/state/format"
)

// Store is the only writer of a state. Its methods may be called from any goroutine; those that write take turns.
type Store struct {
	o       Options
	dir     string // the state directory
	lock    *pebble.Lock
	db      *engine.DB
	view    view
	metrics *metrics

	closing atomic.Bool
	filling sync.WaitGroup // goroutines that fill filters

	// mu is the apply lock: whoever writes holds it.
	mu struct {
		sync.Mutex
		closed     bool
		identity   Identity
		base       *format.Journal // folded
		journal    *format.Journal // base and the entries after it
		unfolded   int             // number of those entries
		filters    *filters
		unfiltered bool // a load was begun: filters are made when events come
		positions  map[PartitionID]*Position
		tenants    map[billing.TenantID]bool
		decisions  uint64 // number of the last one

		// Memory of the one transaction that there is at a time.
		events eventTable
		lookup winnerLookup
		parser versionParser
		rows   extsort.Rows
	}
}

// Create makes a new state in dir, which must be empty or missing. It sets Format, Database and CreatedAt of the
// identity. If it is interrupted there is no state.
func Create(dir string, id Identity, o Options) error {
	o = o.withDefaults()
	if err := id.Rules.Validate(); err != nil {
		return fmt.Errorf("create state: %w", err)
	}
	if err := engine.MkdirAll(o.FS, dir); err != nil {
		return fmt.Errorf("create state: %w", err)
	}
	if err := vacant(dir, o); err != nil {
		return err
	}
	id.Format = FormatVersion
	id.Database = newDatabaseID()
	id.CreatedAt = o.Now().UTC()
	if id.Partitions == "" {
		id.Partitions = "all"
	}
	// Built under another name, so that a state is whole or absent.
	building := filepath.Join(dir, o.Sub+".create")
	if err := o.FS.RemoveAll(building); err != nil {
		return fmt.Errorf("create state: %w", err)
	}
	if err := build(building, id, o); err != nil {
		return fmt.Errorf("create state: %w", err)
	}
	if err := o.FS.Rename(building, filepath.Join(dir, o.Sub)); err != nil {
		return fmt.Errorf("create state: %w", err)
	}
	return engine.SyncDir(o.FS, dir)
}

// vacant refuses a directory that holds a state, or anything else.
func vacant(dir string, o Options) error {
	names, err := o.FS.List(dir)
	if err != nil {
		return fmt.Errorf("create state: %w", err)
	}
	for _, name := range names {
		switch {
		case name == o.Sub:
			return fmt.Errorf("%w: %s", ErrExists, dir)
		case o.Sub != LiveDir, name == "lost+found", strings.HasSuffix(name, ".create"):
		default:
			return fmt.Errorf("create state: %s is not empty: it holds %s", dir, name)
		}
	}
	return nil
}

// build writes a database that holds an identity and the journal's first entry.
func build(dir string, id Identity, o Options) (err error) {
	db, err := engine.Create(dir, o.engine())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	text, err := format.AppendIdentityValue(nil, &id)
	if err != nil {
		return err
	}
	j := format.NewJournal(id.Database, id.CreatedAt)
	var c extsort.Rows
	c.Set([]byte{format.SpaceIdentity}, text)
	c.Set([]byte{format.SpaceBase}, j.AppendValue(nil))
	batch := db.NewBatch()
	if err := fillBatch(batch, &c); err != nil {
		return err
	}
	if err := batch.Commit(pebble.Sync); err != nil {
		return err
	}
	return db.Flush()
}

func newDatabaseID() DatabaseID {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return DatabaseID(hex.EncodeToString(b[:]))
}

// Open opens the state in dir for writing. It opens and checks it read-only before.
func Open(dir string, o Options) (_ *Store, err error) {
	o = o.withDefaults()
	s := &Store{o: o, dir: dir}
	sub := filepath.Join(dir, o.Sub)
	if s.lock, err = o.lock(sub); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.release())
		}
	}()
	if err := checkFirst(sub, o, s.lock); err != nil {
		return nil, err
	}
	if err := s.emptyTables(); err != nil {
		return nil, err
	}
	if s.db, err = engine.Open(sub, s.lock, o.engine()); err != nil {
		return nil, err
	}
	s.view = view{s.db}
	if err := s.load(); err != nil {
		return nil, err
	}
	s.metrics = newMetrics(o.Metrics)
	s.db.RegisterMetrics(o.Metrics)
	s.noteLocked()
	s.startFilters()
	return s, nil
}

// checkFirst opens the database read-only and checks it, so that a damaged one is refused before anything of it is
// changed.
func checkFirst(sub string, o Options, lock *pebble.Lock) error {
	db, err := engine.OpenReadOnly(sub, lock, o.engine())
	if err != nil {
		return err
	}
	_, _, err = view{db}.verify()
	return errors.Join(err, db.Close())
}

// load reads what the store keeps in memory.
func (s *Store) load() error {
	id, err := s.view.identity()
	if err != nil {
		return err
	}
	m := &s.mu
	m.identity = id
	if m.base, m.journal, m.unfolded, err = s.view.journal(nil); err != nil {
		return err
	}
	positions, err := s.view.positions()
	if err != nil {
		return err
	}
	m.positions = make(map[PartitionID]*Position, len(positions))
	for i := range positions {
		m.positions[positions[i].Partition] = &positions[i]
	}
	decisions, err := s.view.decisions()
	if err != nil {
		return err
	}
	if n := len(decisions); n > 0 {
		m.decisions = decisions[n-1].Number
	}
	m.tenants = map[billing.TenantID]bool{}
	return s.view.scanPrefix([]byte{format.SpaceTenant}, func(key, _ []byte) error {
		t, _, err := format.CutKeyString(key[1:])
		m.tenants[billing.TenantID(t)] = true
		return err
	})
}

// emptyTables removes what an interrupted write left in STATE/tables.
func (s *Store) emptyTables() error {
	if err := s.o.FS.RemoveAll(s.tablesDir()); err != nil {
		return fmt.Errorf("empty %s: %w", s.tablesDir(), err)
	}
	return nil
}

// tablesDir is where tables are before Pebble ingests them. The database of a rebuild has its own.
func (s *Store) tablesDir() string {
	return filepath.Join(s.dir, "tables"+strings.TrimPrefix(s.o.Sub, LiveDir))
}

// Close waits for the current write and closes the database. Close readers before.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return nil
	}
	s.mu.closed = true
	s.closing.Store(true)
	s.filling.Wait()
	s.saveFilterLocked()
	return s.release()
}

func (s *Store) release() (err error) {
	if s.db != nil {
		err = s.db.Close()
	}
	return errors.Join(err, s.lock.Close())
}

// Health is nil while the storage takes writes; else what is wrong (a full disk, a write stall).
func (s *Store) Health() error { return s.db.Health() }

// errClosed is returned by a writing method after Close.
var errClosed = fmt.Errorf("state: %w", os.ErrClosed)

// Identity names the log and the rules that the state belongs to.
func (s *Store) Identity() Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.identity
}

// writeBatch makes rows durable in one write. A failure ends the process, because what is on disk is then unknown.
func (s *Store) writeBatch(rows *extsort.Rows) {
	batch := s.db.NewBatchWithSize(rows.Bytes() + 16*rows.Len() + 64)
	err := fillBatch(batch, rows)
	if err == nil {
		err = batch.Commit(pebble.Sync)
	}
	err = errors.Join(err, batch.Close())
	if err != nil {
		engine.Stop(s.o.Fatal, fmt.Errorf("write state: %w", err))
	}
}

// fillBatch adds rows to a batch.
func fillBatch(batch *pebble.Batch, rows *extsort.Rows) error {
	for i := range rows.Len() {
		key, value, isDeletion := rows.Row(int32(i))
		var err error
		if isDeletion {
			err = batch.Delete(key, nil)
		} else {
			err = batch.Set(key, value, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// foldLocked folds all but the last JournalFoldKeep entries into the base, once there are twice as many. It runs after
// a write that is durable, so a failure ends the process: an error would tell the caller that nothing was written.
func (s *Store) foldLocked() {
	if s.mu.unfolded < 2*s.o.JournalFoldKeep {
		return
	}
	upTo := s.mu.journal.Head.Sequence - Sequence(s.o.JournalFoldKeep)
	base := s.mu.base.Clone()
	low, high := format.SequenceKey(format.SpaceJournal, uint64(base.Head.Sequence)+1), format.SequenceKey(format.SpaceJournal, uint64(upTo)+1)
	n := 0
	err := s.view.scan(low, high, func(key, value []byte) error {
		e, err := format.ParseEntry(key, value, base.Head)
		if err != nil {
			return err
		}
		n++
		return base.Fold(&e)
	})
	if err == nil {
		batch := s.db.NewBatch()
		err = errors.Join(batch.Set([]byte{format.SpaceBase}, base.AppendValue(nil), nil), batch.DeleteRange(low, high, nil))
		if err == nil {
			err = batch.Commit(pebble.Sync)
		}
		err = errors.Join(err, batch.Close())
	}
	if err != nil {
		engine.Stop(s.o.Fatal, fmt.Errorf("fold journal: %w", err))
	}
	s.mu.base = base
	s.mu.unfolded -= n
}

// noteLocked updates the gauges.
func (s *Store) noteLocked() {
	s.metrics.sequence.Set(float64(s.mu.journal.Head.Sequence))
	s.metrics.unfolded.Set(float64(s.mu.unfolded))
}
