package delivery

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"daybook/internal/billing"
	"daybook/internal/disk"
)

// Files of the directory of a source, DIR/TOPIC/SOURCE/.
const (
	recordName = "index.json"
	lockName   = "lock" // empty, never removed
	tmpDir     = "tmp"  // runs, and files that are not part of the index yet
	idsSuffix  = ".ids"
)

// recordFormat is the version of index.json and of the files that it names.
const recordFormat = 2

// keptLoads bounds the number of ids of finished loads in an index. Their records are before NextOffsets, except
// deletions and records that a broker appends after the producing process has died.
const keptLoads = 32

// sortBytes is the size of the ids of a load that are sorted in memory at a time.
const sortBytes = 64 << 20

// record is the content of index.json. It names all files of the index.
type record struct {
	Format  int    `json:"format"`
	Topic   string `json:"topic"`
	TopicID string `json:"topic_id,omitempty"`
	Source  string `json:"source"`
	// Next is the number of the next file. A name is never used twice.
	Next int `json:"next_file"`
	// Days has for each day the export time of the newest load that wrote to it.
	Days map[billing.Day]billing.Instant `json:"days"`
	// Months are the files of ids, by usage month.
	Months map[billing.Period]string `json:"months"`
	// Begun has the loads that have not finished. Their ids may be in the topic.
	Begun []begun `json:"begun,omitempty"`
	// NextOffsets has for each partition the offset up to which every record of the source is of a known load.
	NextOffsets map[int32]int64 `json:"next_offsets"`
	// Loads has the ids of the latest finished loads, the newest last.
	Loads []string `json:"loads,omitempty"`
}

// begun is a load that has started and not finished.
type begun struct {
	Window   Window          `json:"window"` // --replaces, or the days of its rows
	Replaces bool            `json:"replaces"`
	At       billing.Instant `json:"exported_at_ns"`
	File     string          `json:"file"`
	Load     string          `json:"load"` // its id
}

// Index is the index of one source of a topic. The caller closes it.
type Index struct {
	fs         disk.FS
	dir        string
	lock       io.Closer
	record     record
	rebuilding bool // index.json was not read: its files must stay
	// unclear is set by a write that failed: index.json may be the old one or the new one, so
	// the files of both must stay until it is read again.
	unclear bool
}

// ValidSource reports whether a name is valid for a source: 1 to 64 of [A-Za-z0-9_.-], not starting with a dot.
func ValidSource(name string) bool { return billing.TenantID(name).Valid() }

// Open opens and locks the index of a source, which may be new. topicID may be empty if it is unknown. Errors:
// ErrLocked, ErrTopic.
func Open(root, topic, topicID, source string) (*Index, error) {
	return open(disk.OS(), root, topic, topicID, source, false)
}

// OpenForRebuild is Open for a Rebuild. It ignores the existing index, which may be damaged or of another topic.
func OpenForRebuild(root, topic, topicID, source string) (*Index, error) {
	return open(disk.OS(), root, topic, topicID, source, true)
}

func open(fsys disk.FS, root, topic, topicID, source string, rebuilding bool) (*Index, error) {
	if !ValidSource(source) {
		return nil, fmt.Errorf("%w: %q: use 1 to 64 of A-Z a-z 0-9 _ . - without a leading dot", ErrSource, source)
	}
	x := &Index{fs: fsys, dir: filepath.Join(root, topic, source)}
	there, err := disk.Exists(fsys, x.dir)
	if err == nil {
		err = fsys.MkdirAll(x.tmp(), 0o755)
	}
	if err == nil && !there {
		err = disk.SyncDirs(fsys, filepath.Join(root, topic), root, filepath.Dir(root))
	}
	if err != nil {
		return nil, fmt.Errorf("make the directory of deliveries: %w", err)
	}
	x.lock, err = fsys.Lock(filepath.Join(x.dir, lockName))
	if errors.Is(err, disk.ErrLocked) {
		return nil, fmt.Errorf("%w: another load of source %s is at work", ErrLocked, source)
	}
	if err != nil {
		return nil, fmt.Errorf("lock deliveries: %w", err)
	}
	x.record = record{
		Format: recordFormat, Topic: topic, TopicID: topicID, Source: source,
		Days: map[billing.Day]billing.Instant{}, Months: map[billing.Period]string{},
		NextOffsets: map[int32]int64{},
	}
	if rebuilding {
		x.rebuilding = true
		x.record.Next = x.lastNumber()
		err = x.clearTmp()
	} else if err = x.read(topicID); err == nil {
		err = x.sweep()
	}
	if err != nil {
		return nil, errors.Join(err, x.lock.Close())
	}
	return x, nil
}

// Close closes and unlocks the index.
func (x *Index) Close() error {
	if x.rebuilding || x.unclear {
		return x.lock.Close()
	}
	return errors.Join(x.sweep(), x.lock.Close())
}

// Sorter returns a Sorter for the entries of a load.
func (x *Index) Sorter() *Sorter {
	return &Sorter{fs: x.fs, dir: x.tmp(), limit: sortBytes, days: map[billing.Day]dayFacts{}}
}

// read reads index.json, if there is one.
func (x *Index) read(topicID string) error {
	name := x.path(recordName)
	data, err := disk.ReadFile(x.fs, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read deliveries: %w", err)
	}
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("read %s: %w: %w", name, ErrDamaged, err)
	}
	if head.Format != recordFormat {
		return fmt.Errorf("read %s: %w: %d, this is Daybook for %d: run produce --rebuild-deliveries", name, ErrFormat, head.Format, recordFormat)
	}
	if err := json.Unmarshal(data, &x.record); err != nil {
		return fmt.Errorf("read %s: %w: %w", name, ErrDamaged, err)
	}
	if was := x.record.TopicID; was != "" && topicID != "" && was != topicID {
		return fmt.Errorf("%w: %s is of topic %s with id %s, whose id is now %s: remove that directory, or rebuild it with --rebuild-deliveries", ErrTopic, x.dir, x.record.Topic, was, topicID)
	}
	if topicID != "" {
		x.record.TopicID = topicID
	}
	return nil
}

// NextOffsets returns for each partition of the topic the offset up to which the index knows every load of its
// source; 0 for unknown partitions.
func (x *Index) NextOffsets() map[int32]int64 { return maps.Clone(x.record.NextOffsets) }

// SetNextOffsets durably records that CheckMark has accepted every record of the topic before these offsets.
func (x *Index) SetNextOffsets(next map[int32]int64) error {
	if maps.Equal(next, x.record.NextOffsets) {
		return nil
	}
	r := x.record
	r.NextOffsets = maps.Clone(next)
	return x.write(r)
}

// CheckMark returns ErrStale for the mark of a record at or after NextOffsets if its load is of this source and
// unknown.
func (x *Index) CheckMark(m Mark) error {
	if m.Source != x.record.Source {
		return nil
	}
	if m.Load != "" && (slices.Contains(x.record.Loads, m.Load) || slices.ContainsFunc(x.record.Begun, func(b begun) bool { return b.Load == m.Load })) {
		return nil
	}
	load := "a load"
	if m.Replaces != nil {
		load = fmt.Sprintf("the delivery of %s exported %s", m.Replaces, text(m.At))
	}
	return fmt.Errorf("%w: topic %s has a record of %s by source %s that %s does not know; the directory is empty, an older copy, or not the one that the source was loaded from: use the newest, or run produce --rebuild-deliveries",
		ErrStale, x.record.Topic, load, m.Source, x.dir)
}

// sweep removes the files of interrupted loads.
func (x *Index) sweep() error {
	if err := x.clearTmp(); err != nil {
		return err
	}
	names, err := x.fs.List(x.dir)
	if err != nil {
		return fmt.Errorf("clear deliveries: %w", err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, idsSuffix) || x.record.names(name) {
			continue
		}
		if err := x.fs.Remove(x.path(name)); err != nil {
			return fmt.Errorf("clear deliveries: %w", err)
		}
	}
	return nil
}

// lastNumber returns the greatest number in the names of the files of ids.
func (x *Index) lastNumber() int {
	names, _ := x.fs.List(x.dir) // a directory that cannot be read fails later
	last := 0
	for _, name := range names {
		stem := strings.TrimSuffix(name, idsSuffix)
		if n, err := strconv.Atoi(stem[strings.LastIndexByte(stem, '-')+1:]); err == nil {
			last = max(last, n)
		}
	}
	return last
}

// clearTmp empties the directory of temporary files.
func (x *Index) clearTmp() error {
	err := x.fs.RemoveAll(x.tmp())
	if err == nil {
		err = x.fs.MkdirAll(x.tmp(), 0o755)
	}
	if err != nil {
		return fmt.Errorf("clear deliveries: %w", err)
	}
	return nil
}

// names reports whether the record names a file.
func (r *record) names(file string) bool {
	for _, f := range r.Months {
		if f == file {
			return true
		}
	}
	return slices.ContainsFunc(r.Begun, func(b begun) bool { return b.File == file })
}

// write replaces the index by a record, atomically.
func (x *Index) write(r record) error {
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("write deliveries: %w", err)
	}
	err = x.fs.SyncDir(x.dir) // the files that it names come first
	if err == nil {
		err = disk.ReplaceFile(x.fs, filepath.Join(x.tmp(), recordName), x.path(recordName), append(data, '\n'))
	}
	if err != nil {
		x.unclear = true
		return fmt.Errorf("write deliveries: %w", err)
	}
	x.record, x.rebuilding = r, false
	return nil
}

// newName returns an unused name for a file.
func (r *record) newName(what string) string {
	r.Next++
	return fmt.Sprintf("%s-%06d%s", what, r.Next, idsSuffix)
}

func (x *Index) path(name string) string { return filepath.Join(x.dir, name) }

func (x *Index) tmp() string { return filepath.Join(x.dir, tmpDir) }

// plural formats a count with its noun.
func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
