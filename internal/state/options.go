package state

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
)

// Options opens a state. The zero value of a field means its default.
type Options struct {
	FS      vfs.FS // default vfs.Default
	Logger  *slog.Logger
	Now     func() time.Time
	Metrics prometheus.Registerer
	// Fatal is called when the storage has failed in a way after which no
	// write may be acknowledged. It must not return; default: log, exit 1.
	Fatal func(error)
	// Sub is the database's directory inside the state directory: LiveDir by
	// default, RebuildDir while a rebuild makes another beside it.
	Sub string
	// Brief opens for a checkpoint or a note: nothing is compacted, and no membership filter is filled,
	// so that a look-up costs a read.
	Brief bool

	CacheBytes       int64  // default 256 MiB; the memtables are part of it
	MemTableBytes    uint64 // default 32 MiB
	FilterBytes      int64  // bound of the membership filter in front of look-ups; default 128 MiB
	GenerationEvents int64  // least size of a generation of locators; default 400,000
	BulkRecords      int    // a batch of at least this many records is written as tables; default 50,000
	JournalFoldKeep  int    // entries kept unfolded; default 10,000
	LoadDirty        int    // dirty account-days that each worker of a load holds in memory; default 131,072
}

// The database's directories inside a state directory.
const (
	LiveDir    = "db"
	RebuildDir = "db.rebuild"
)

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	if o.Fatal == nil {
		log := o.Logger
		o.Fatal = func(err error) {
			log.Error("storage failed, no write may be acknowledged: ending", "err", err)
			os.Exit(1)
		}
	}
	if o.Sub == "" {
		o.Sub = LiveDir
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = 32 << 20
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 256 << 20
	}
	// Memtables are charged to the cache: with less, blocks are never cached.
	o.CacheBytes = max(o.CacheBytes, int64(4*o.MemTableBytes)+32<<20)
	if o.FilterBytes == 0 {
		o.FilterBytes = 128 << 20
	}
	if o.GenerationEvents == 0 {
		o.GenerationEvents = generationEvents
	}
	if o.BulkRecords == 0 {
		o.BulkRecords = 50_000
	}
	if o.JournalFoldKeep == 0 {
		o.JournalFoldKeep = 10_000
	}
	if o.LoadDirty == 0 {
		o.LoadDirty = 1 << 17
	}
	return o
}

// readerCacheBytes bounds the cache of what is only read: scans come by each block once.
const readerCacheBytes = 64 << 20

// pebble are Pebble's options. The caller must Unref the cache.
func (o *Options) pebble(readOnly bool) *pebble.Options {
	cache := o.CacheBytes
	if readOnly {
		cache = min(cache, readerCacheBytes)
	}
	p := &pebble.Options{
		FS:                          &disk{o.FS, o.Fatal},
		ReadOnly:                    readOnly,
		Cache:                       pebble.NewCache(cache),
		MemTableSize:                o.MemTableBytes,
		MemTableStopWritesThreshold: 4,
		// Not more: with 8, twelve layers of small tables were seen that Pebble saw no need to compact.
		L0CompactionThreshold: 4,
		L0StopWritesThreshold: 20,
		// What comes into days that are there lies in the base level until that is full, and is written into the lowest
		// level then, with all that lies there between. The more comes at once, the less is written for each of it.
		LBaseMaxBytes:      2 << 30,
		MaxOpenFiles:       1000,
		FormatMajorVersion: pebble.FormatNewest,
		Comparer:           pebble.DefaultComparer,
		Logger:             logger{log: o.Logger, fatal: o.Fatal},
	}
	p.DisableAutomaticCompactions, p.DisableTableStats = o.Brief, o.Brief
	if o.Brief {
		p.L0StopWritesThreshold = math.MaxInt32 // a write would wait for a compaction that never comes
	}
	if readOnly {
		p.ErrorIfNotExists = true
		// What is damaged is said by the read that meets it.
		p.EventListener = &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}}
	}
	p.EnsureDefaults()
	// What is at rest is packed well, what compactions still move is packed fast.
	p.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionBalanced })
	for i := range p.Levels {
		p.Levels[i].BlockSize = 8 << 10
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		p.Levels[i].FilterType = pebble.TableFilter
	}
	return p
}

// lock takes the database directory's lock; ErrLocked, ErrNotFound.
func (o *Options) lock(dir string) (*pebble.Lock, error) {
	desc, err := pebble.Peek(dir, o.FS)
	if errors.Is(err, os.ErrNotExist) || err == nil && !desc.Exists {
		return nil, fmt.Errorf("%w: %s; to create one: ingest init", ErrNotFound, filepath.Dir(dir))
	}
	if err != nil {
		return nil, fmt.Errorf("open state %s: %w", dir, err)
	}
	l, err := pebble.LockDirectory(dir, o.FS)
	if err == nil {
		return l, nil
	}
	// fcntl says EAGAIN or EACCES of another process' lock; Pebble itself
	// says that this process holds it.
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) && o.FS == vfs.Default && writable(dir) ||
		err.Error() == "lock held by current process" {
		return nil, fmt.Errorf("%w: %s", ErrLocked, filepath.Dir(dir))
	}
	return nil, fmt.Errorf("lock state %s: %w", dir, err)
}

// writable tells a lock that another process holds from a directory that we may not write.
func writable(dir string) bool { return syscall.Access(dir, 2) == nil }
