package state

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zeebo/xxh3"

	"daybook/internal/state/format"
)

// The Bloom filter of events is saved when a store closes, so that the next one does not read all locators. The
// file belongs to one entry of one journal. Events added since are in the generation that was the newest then, or
// in later ones, and only those are read. A file that is missing, torn, of another state, or of an entry that the
// journal no longer has is ignored. It is not synced, because its hash shows whether it is complete.
//
//	magic, database id, sequence, digest there, newest generation, blocks; the blocks; XXH3-128 of all before it
const (
	filterName  = "membership-filter" // in the database's directory, where Pebble ignores unknown names
	filterMagic = "daybook filter 1"
	filterHead  = len(filterMagic) + 32 + 8 + 16 + 2 + 8
	// filterShare is the largest size of a saved filter, in bytes an event: the locators of fewer events are read
	// as fast.
	filterShare = 8
)

var errNoFilter = errors.New("no saved filter of this state")

// filterFile is the header of a saved filter: which state it belongs to, and its size.
type filterFile struct {
	database   DatabaseID
	head       Head
	generation format.Generation
	blocks     int
}

func (h *filterFile) append(b []byte) []byte {
	b = append(append(b, filterMagic...), h.database...)
	b = binary.BigEndian.AppendUint64(b, uint64(h.head.Sequence))
	b = append(b, h.head.Digest[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(h.generation))
	return binary.BigEndian.AppendUint64(b, uint64(h.blocks))
}

// parseFilterFile reads what append wrote. b has filterHead bytes.
func parseFilterFile(b []byte) (h filterFile, err error) {
	rest, ok := bytes.CutPrefix(b, []byte(filterMagic))
	if !ok {
		return h, errNoFilter
	}
	f := format.Decoder{Rest: rest}
	h.database = DatabaseID(f.Take(32))
	h.head.Sequence = Sequence(binary.BigEndian.Uint64(f.Take(8)))
	h.head.Digest = f.Digest()
	h.generation = format.Generation(binary.BigEndian.Uint16(f.Take(2)))
	h.blocks = int(binary.BigEndian.Uint64(f.Take(8)))
	return h, nil
}

func (s *Store) filterPath() string { return filepath.Join(s.dir, s.o.Sub, filterName) }

// saveFilterLocked saves the filter of events, unless there are few events. A failure is logged; it costs time at
// the next start.
func (s *Store) saveFilterLocked() {
	f := s.mu.filters
	h := filterFile{s.mu.identity.Database, s.mu.journal.Head, s.mu.journal.Totals.Generation, len(f.events.blocks)}
	if !f.events.filled.Load() || h.head == f.savedAt || s.mu.journal.Totals.Locators*filterShare < int64(h.blocks)*64 {
		return
	}
	path := s.filterPath()
	if err := f.events.write(s.o.FS, path+".tmp", &h); err != nil {
		s.o.Logger.Warn("failed to save Bloom filter, the next start reads all locators", "err", errors.Join(err, s.o.FS.Remove(path+".tmp")))
		return
	}
	if err := s.o.FS.Rename(path+".tmp", path); err != nil {
		s.o.Logger.Warn("failed to save Bloom filter, the next start reads all locators", "err", err)
	}
}

// write writes the filter, which must not change meanwhile, to a file.
func (f *bloomFilter) write(fs vfs.FS, path string, h *filterFile) (err error) {
	file, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	hash := xxh3.New()
	w := bufio.NewWriterSize(file, 1<<20)
	out := io.MultiWriter(w, hash)
	if _, err := out.Write(h.append(nil)); err != nil {
		return err
	}
	var b []byte
	for i := range f.blocks {
		for _, word := range f.blocks[i] {
			b = binary.LittleEndian.AppendUint64(b, word)
		}
		if len(b) >= 64<<10 || i == len(f.blocks)-1 {
			if _, err := out.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	sum := hash.Sum128().Bytes()
	if _, err := w.Write(sum[:]); err != nil {
		return err
	}
	return w.Flush()
}

// loadFilter adds the saved filter to f and returns the oldest generation that may have events added since; current
// reports that there are none. The error is errNoFilter if there is no file for this state. Bits of a file whose
// hash proves wrong stay in f: they only cost look-ups.
func (s *Store) loadFilter(f *bloomFilter, v view, now Head, database DatabaseID) (from format.Generation, current bool, err error) {
	file, err := s.o.FS.Open(s.filterPath(), vfs.SequentialReadsOption)
	if errors.Is(err, os.ErrNotExist) {
		return 0, false, errNoFilter
	}
	if err != nil {
		return 0, false, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	hash := xxh3.New()
	sealed := bufio.NewReaderSize(file, 1<<20)
	r := io.TeeReader(sealed, hash)
	head := make([]byte, filterHead)
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, false, err
	}
	h, err := parseFilterFile(head)
	if err != nil {
		return 0, false, err
	}
	if h.database != database || h.blocks != len(f.blocks) {
		return 0, false, errNoFilter
	}
	current = h.head == now
	if !current {
		// If the journal still has that entry, all events of the file are in the state. An entry begins with its
		// digest.
		found, err := v.get(format.SequenceKey(format.SpaceJournal, uint64(h.head.Sequence)), func(entry []byte) error {
			if !bytes.HasPrefix(entry, h.head.Digest[:]) {
				return errNoFilter
			}
			return nil
		})
		if err != nil || !found {
			return 0, false, errors.Join(errNoFilter, err)
		}
	}
	b := make([]byte, 64<<10)
	for i := 0; i < h.blocks; {
		if s.closing.Load() {
			return 0, false, errClosed
		}
		n := min(h.blocks-i, len(b)/64)
		if _, err := io.ReadFull(r, b[:n*64]); err != nil {
			return 0, false, err
		}
		f.addBlocks(i, b[:n*64])
		i += n
	}
	sum := hash.Sum128().Bytes()
	var sealedSum [16]byte
	if _, err := io.ReadFull(sealed, sealedSum[:]); err != nil {
		return 0, false, err
	}
	if sum != sealedSum {
		return 0, false, fmt.Errorf("%w: the hash does not match", errNoFilter)
	}
	return h.generation, current, nil
}
