package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
)

// Options opens a database. All fields are needed; package state has the defaults.
type Options struct {
	FS     vfs.FS
	Logger *slog.Logger
	Now    func() time.Time
	// Fatal is called when the storage failed so that no write may be acknowledged any more. It must not return.
	Fatal func(error)

	CacheBytes    int64 // of blocks and memtables
	MemTableBytes uint64
	// Brief opens a database for a moment: nothing is compacted.
	Brief bool
}

// readerCacheBytes bounds the cache of a database that is only read: a scan reads each block once.
const readerCacheBytes = 64 << 20

// pebble are Pebble's options. The caller must unref the cache.
func (o *Options) pebble(readOnly bool) *pebble.Options {
	cache := o.CacheBytes
	if readOnly {
		cache = min(cache, readerCacheBytes)
	}
	p := &pebble.Options{
		FS:                          &guardedFS{o.FS, o.Fatal},
		ReadOnly:                    readOnly,
		Cache:                       pebble.NewCache(cache),
		MemTableSize:                o.MemTableBytes,
		MemTableStopWritesThreshold: 4,
		// With 8, twelve sublevels of small tables were seen that Pebble saw no need to compact.
		L0CompactionThreshold: 4,
		L0StopWritesThreshold: 20,
		// Rows that come into days that exist stay in the base level until it is full. Then they are merged into
		// the lowest level, with all rows there that are between them: the more come at once, the lower the write
		// amplification.
		LBaseMaxBytes:      2 << 30,
		MaxOpenFiles:       1000,
		FormatMajorVersion: pebble.FormatNewest,
		Comparer:           pebble.DefaultComparer,
		Logger:             logger{log: o.Logger, fatal: o.Fatal},
	}
	p.DisableAutomaticCompactions, p.DisableTableStats = o.Brief, o.Brief
	if o.Brief {
		p.L0StopWritesThreshold = math.MaxInt32 // a write would wait for a compaction that never runs
	}
	if readOnly {
		p.ErrorIfNotExists = true
		// The read that meets damage returns it.
		p.EventListener = &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}}
	}
	p.EnsureDefaults()
	// The lowest level is compressed well, levels that compactions still move are compressed fast.
	p.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionBalanced })
	for i := range p.Levels {
		p.Levels[i].BlockSize = 8 << 10
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		p.Levels[i].FilterType = pebble.TableFilter
	}
	return p
}

// Lock takes the lock of a database, which keeps other processes and other opens of this one away, readers too.
// Its errors ErrNotFound and ErrLocked are bare.
func Lock(dir string, fs vfs.FS) (*pebble.Lock, error) {
	desc, err := pebble.Peek(dir, fs)
	if errors.Is(err, os.ErrNotExist) || err == nil && !desc.Exists {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("open state %s: %w", dir, err)
	}
	l, err := pebble.LockDirectory(dir, fs)
	if err == nil {
		return l, nil
	}
	// fcntl returns EAGAIN or EACCES for a lock that another process has. Of a lock that this process has, Pebble
	// says so itself.
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) && fs == vfs.Default && isWritable(dir) ||
		err.Error() == "lock held by current process" {
		return nil, ErrLocked
	}
	return nil, fmt.Errorf("lock state %s: %w", dir, err)
}

// isWritable reports whether this process may write to dir: EACCES then means that another process has the lock.
func isWritable(dir string) bool { return syscall.Access(dir, 2) == nil }

// DB is an open database.
type DB struct {
	*pebble.DB

	dir               string
	fs                vfs.FS
	cache             *pebble.Cache
	health            *health    // nil if read-only
	collector         *collector // nil until RegisterMetrics
	tableOptions      sstable.WriterOptions
	lowestCompression *block.CompressionProfile
}

// Create makes a database in dir, which must not hold one, and opens it. The caller gives it its first rows.
func Create(dir string, o Options) (*DB, error) {
	p := o.pebble(false)
	p.ErrorIfExists = true
	db := &DB{dir: dir, fs: o.FS, cache: p.Cache}
	err := o.FS.MkdirAll(dir, 0o700)
	if err == nil {
		db.DB, err = pebble.Open(dir, p)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Open opens the database in dir for writing. The lock is the caller's, to be released after Close.
func Open(dir string, lock *pebble.Lock, o Options) (_ *DB, err error) {
	db := &DB{dir: dir, fs: o.FS, health: &health{log: o.Logger, now: o.Now}}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	if err := hasSpace(dir, o.FS); err != nil {
		return nil, err
	}
	p := o.pebble(false)
	db.cache = p.Cache
	p.Lock = lock
	p.ErrorIfNotExists = true
	p.EventListener = db.health.listener(o.Fatal)
	if o.FS == vfs.Default {
		p.WithFSDefaults() // which watches for operations that hang; the listener hears of them
	}
	s := &scheduler{}
	p.Experimental.CompactionScheduler = s
	if db.DB, err = open(dir, p); err != nil {
		return nil, openError(err)
	}
	s.start()
	db.tableOptions = p.MakeWriterOptions(0, db.TableFormat())
	db.lowestCompression = p.Levels[len(p.Levels)-1].Compression()
	return db, nil
}

// OpenReadOnly opens the database in dir for reading. The lock is the caller's, to be released after Close.
func OpenReadOnly(dir string, lock *pebble.Lock, o Options) (*DB, error) {
	p := o.pebble(true)
	p.Lock = lock
	db := &DB{dir: dir, fs: o.FS, cache: p.Cache}
	var err error
	if db.DB, err = open(dir, p); err != nil {
		return nil, errors.Join(openError(err), db.Close())
	}
	return db, nil
}

// RegisterMetrics registers the metrics of a database that is open for writing. They end with Close.
func (db *DB) RegisterMetrics(reg prometheus.Registerer) {
	db.collector = newCollector(db.DB, db.dir, db.fs, db.health, reg)
}

// open opens a database. Pebble panics on some damage, such as tables that were exchanged while they wait for their
// flush.
func open(dir string, p *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			db, err = nil, fmt.Errorf("open database: %v", cause)
		}
	}()
	return pebble.Open(dir, p)
}

// hasSpace refuses to open a database where there is no space to write what is in its log as tables: Pebble would
// try for ever, and report nothing.
func hasSpace(dir string, fs vfs.FS) error {
	disk, err := fs.GetDiskUsage(dir)
	if err != nil {
		return nil // a file system that does not know
	}
	names, err := fs.List(dir)
	if err != nil {
		return fmt.Errorf("open state: %w", err)
	}
	need := uint64(1 << 20)
	for _, name := range names {
		if info, err := fs.Stat(filepath.Join(dir, name)); err == nil && strings.HasSuffix(name, ".log") {
			need += uint64(info.Size())
		}
	}
	if disk.AvailBytes >= need {
		return nil
	}
	return fmt.Errorf("open state: %w: %d bytes are free on the disk of %s, %d are needed; free some space", syscall.ENOSPC, disk.AvailBytes, dir, need)
}

// Health is nil while the storage takes writes, else what is wrong: a full disk, a write stall, a slow disk. It is
// nil of a database that is only read.
func (db *DB) Health() error {
	if db.health == nil {
		return nil
	}
	return db.health.err()
}

// flushPatience is for how many tenths of a second in a row FlushOrFail bears a failing disk.
const flushPatience = 50

// FlushOrFail writes the memtables to tables. Pebble would try for ever on a disk that takes no writes; FlushOrFail
// gives up after five seconds in which all attempts failed, and returns the cause.
func (db *DB) FlushOrFail() error {
	flushed, err := db.AsyncFlush()
	if err != nil {
		return err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for failing := 0; ; {
		select {
		case <-flushed:
			return nil
		case <-tick.C:
		}
		if failing++; db.health.writeError() == nil {
			failing = 0
		} else if failing >= flushPatience {
			return db.health.writeError()
		}
	}
}

// Close closes the database and ends its metrics.
func (db *DB) Close() error {
	var err error
	if db.collector != nil {
		db.collector.close()
	}
	if db.DB != nil {
		err = db.DB.Close()
	}
	if db.cache != nil {
		db.cache.Unref()
	}
	return err
}
