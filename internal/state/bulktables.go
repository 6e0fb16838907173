package state

import (
	"fmt"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/sstable"

	"daybook/internal/state/engine"
	"daybook/internal/state/format"
)

// loadTableBytes is about the size of the rows of one table of a load.
const loadTableBytes = 256 << 20

// tableWriter writes rows in ascending order of their keys as tables that Pebble ingests into its lowest level, because
// none overlaps another. They are compressed fast; what compactions rewrite later is compressed better.
type tableWriter struct {
	s     *Store
	name  string // prefix of file names
	table *sstable.Writer
	end   byte // the table ends before keys with this first byte
	bytes int  // of rows in the table
	paths []string
}

// set writes a row.
func (t *tableWriter) set(key, value []byte) error {
	if t.table != nil && (t.bytes > loadTableBytes || key[0] >= t.end) {
		if err := t.finish(); err != nil {
			return err
		}
	}
	if t.table == nil {
		if err := t.create(key[0]); err != nil {
			return err
		}
	}
	t.bytes += len(key) + len(value)
	return t.table.Set(key, value)
}

// create begins a table whose first key is in a keyspace.
func (t *tableWriter) create(space byte) error {
	kind := engine.LoadTable
	if space == format.SpaceRecord {
		// These tables are alone in their level, and a record is only looked up where a locator refers to it.
		kind = engine.UnfilteredLoadTable
	}
	path := filepath.Join(t.s.tablesDir(), fmt.Sprintf("%s-%d.sst", t.name, len(t.paths)))
	table, err := t.s.db.NewTable(path, kind)
	if err != nil {
		return err
	}
	t.table, t.bytes = table, 0
	t.paths = append(t.paths, path)
	for _, t.end = range tableEnds {
		if space < t.end {
			break
		}
	}
	return nil
}

// finish makes the last table durable. It may be called again.
func (t *tableWriter) finish() error {
	if t.table == nil {
		return nil
	}
	err := t.table.Close()
	t.table = nil
	return err
}
