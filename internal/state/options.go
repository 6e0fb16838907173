package state

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"daybook/internal/state/engine"
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
	// Brief opens for a few small writes or a checkpoint: nothing is compacted and no Bloom filter is filled, so
	// that each look-up reads the database.
	Brief bool

	CacheBytes       int64  // default 256 MiB; the memtables are part of it
	MemTableBytes    uint64 // default 32 MiB
	FilterBytes      int64  // size of the Bloom filter of events; default 128 MiB
	GenerationEvents int64  // smallest size of a generation of locators; default 400,000
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

// engine are the options of the database.
func (o *Options) engine() engine.Options {
	return engine.Options{FS: o.FS, Logger: o.Logger, Now: o.Now, Fatal: o.Fatal, CacheBytes: o.CacheBytes, MemTableBytes: o.MemTableBytes, Brief: o.Brief}
}

// lock takes the database directory's lock; ErrLocked, ErrNotFound.
func (o *Options) lock(dir string) (*pebble.Lock, error) {
	lock, err := engine.Lock(dir, o.FS)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, fmt.Errorf("%w: %s; to create one: ingest init", ErrNotFound, filepath.Dir(dir))
	case errors.Is(err, ErrLocked):
		return nil, fmt.Errorf("%w: %s", ErrLocked, filepath.Dir(dir))
	}
	return lock, err
}
