package engine

import (
	"bufio"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/objstorage"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// tableBuffer is how much of a table is written at once. Pebble writes its own files block by block, and a
	// system call costs more than the copy of a block.
	tableBuffer = 128 << 10
	// tableSync is after how many bytes the operating system is asked to write a table's pages to the disk, so that
	// little is left for the sync at the end.
	tableSync = 1 << 20
)

// TableKind is how a table is packed.
type TableKind int

const (
	// BatchTable is a table of one batch. Little of it is written again, so it is compressed as the lowest level is.
	BatchTable TableKind = iota
	// LoadTable is a table of a bulk load. It is compressed fast; what compactions move later is compressed better.
	LoadTable
	// UnfilteredLoadTable is a LoadTable without a Bloom filter, for keys that are only looked up where they are.
	UnfilteredLoadTable
)

// NewTable makes a table at path, for pebble.DB.Ingest. Its rows must be set in the order of their keys. Its Close
// makes it durable.
func (db *DB) NewTable(path string, kind TableKind) (*sstable.Writer, error) {
	file, err := db.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fmt.Errorf("make table: %w", err)
	}
	file = vfs.NewSyncingFile(file, vfs.SyncingFileOptions{BytesPerSync: tableSync})
	o := db.tableOptions
	switch kind {
	case BatchTable:
		// The other options of the lowest level are not for it: Pebble skips deletions in tables that claim to be
		// of that level.
		o.Compression = db.lowestCompression
	case LoadTable:
	case UnfilteredLoadTable:
		o.FilterPolicy = nil
	}
	return sstable.NewWriter(&tableFile{file, bufio.NewWriterSize(file, tableBuffer)}, o), nil
}

// tableFile is the file of a table that is being written.
type tableFile struct {
	file vfs.File
	w    *bufio.Writer
}

var _ objstorage.Writable = (*tableFile)(nil)

// Write implements objstorage.Writable.
func (t *tableFile) Write(b []byte) error {
	_, err := t.w.Write(b)
	return err
}

// Finish implements objstorage.Writable: it syncs the file.
func (t *tableFile) Finish() error {
	err := t.w.Flush()
	if err == nil {
		err = t.file.Sync()
	}
	return errors.Join(err, t.file.Close())
}

// Abort implements objstorage.Writable.
func (t *tableFile) Abort() { _ = t.file.Close() }
