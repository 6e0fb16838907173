package state

import (
	"bufio"
	"errors"

	"github.com/cockroachdb/pebble/v2/objstorage"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// tableBuffer is how much of a table is written at once. Pebble's own files are written a block at a time,
// and a system call costs more than what it then copies.
const tableBuffer = 128 << 10

// tableSync is of how many bytes the disk is told while they are written, so that in the end there is little to wait for.
const tableSync = 1 << 20

// tableFile is the file of a table in the making.
type tableFile struct {
	file vfs.File
	w    *bufio.Writer
}

var _ objstorage.Writable = (*tableFile)(nil)

// newTable makes a table whose rows are set in the order of their keys. Its Close makes it durable.
func (s *Store) newTable(path string, o sstable.WriterOptions) (*sstable.Writer, error) {
	file, err := s.o.FS.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	file = vfs.NewSyncingFile(file, vfs.SyncingFileOptions{BytesPerSync: tableSync})
	return sstable.NewWriter(&tableFile{file, bufio.NewWriterSize(file, tableBuffer)}, o), nil
}

// Write is objstorage.Writable's.
func (t *tableFile) Write(b []byte) error {
	_, err := t.w.Write(b)
	return err
}

// Finish is objstorage.Writable's: it syncs the file.
func (t *tableFile) Finish() error {
	err := t.w.Flush()
	if err == nil {
		err = t.file.Sync()
	}
	return errors.Join(err, t.file.Close())
}

// Abort is objstorage.Writable's.
func (t *tableFile) Abort() { _ = t.file.Close() }
