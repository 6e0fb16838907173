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

// The membership filter is saved when a store closes, so that the next one need not read all locators. It is
// of one point of one journal: what was added since is of the generation that was the newest then, or of later ones,
// and those alone are read. A file that is missing, torn, of another state or of a point that the
// journal does not have any more is passed over. It is not synced: its own hash tells whether it is whole.
//
//	magic, database id, sequence, digest there, newest generation, blocks; the blocks; XXH3-128 of all before it
const (
	filterName  = "membership-filter" // inside of the database's directory: Pebble leaves other names alone
	filterMagic = "daybook filter 1"
	filterHead  = len(filterMagic) + 32 + 8 + 16 + 2 + 8
	// filterShare bounds what the file takes, in bytes an event: of fewer events the locators are soon read.
	filterShare = 8
)

var errNoFilter = errors.New("no saved filter of this state")

// filterFile is what a saved filter is of.
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

// parseFilterFile reads what append wrote, of the size of filterHead.
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

// saveFilterLocked writes the filter, unless there are few events. What fails costs the next start time, and is logged.
func (s *Store) saveFilterLocked() {
	h := filterFile{s.mu.identity.Database, s.mu.journal.Head, s.mu.journal.Totals.Generation, len(s.filter.blocks)}
	if !s.filter.filled.Load() || h.head == s.filterAt || s.mu.journal.Totals.Locators*filterShare < int64(h.blocks)*64 {
		return
	}
	path := s.filterPath()
	if err := s.filter.write(s.o.FS, path+".tmp", &h); err != nil {
		s.o.Logger.Warn("membership filter not saved, the next start reads all locators", "err", errors.Join(err, s.o.FS.Remove(path+".tmp")))
		return
	}
	if err := s.o.FS.Rename(path+".tmp", path); err != nil {
		s.o.Logger.Warn("membership filter not saved, the next start reads all locators", "err", err)
	}
}

// write writes a filter that nobody adds to.
func (f *filter) write(fs vfs.FS, path string, h *filterFile) (err error) {
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

// loadFilter adds what was saved, and returns the oldest generation that may hold events added since;
// current says that there are none. errNoFilter. Bits of a file that proves bad stay: they only cost look-ups.
func (s *Store) loadFilter(v view, now Head, database DatabaseID) (from format.Generation, current bool, err error) {
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
	if h.database != database || h.blocks != len(s.filter.blocks) {
		return 0, false, errNoFilter
	}
	current = h.head == now
	if !current {
		// Nothing was lost since, if the journal has that entry: it begins with its digest.
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
		s.filter.merge(i, b[:n*64])
		i += n
	}
	sum := hash.Sum128().Bytes()
	var sealedSum [16]byte
	if _, err := io.ReadFull(sealed, sealedSum[:]); err != nil {
		return 0, false, err
	}
	if sum != sealedSum {
		return 0, false, fmt.Errorf("%w: its hash differs", errNoFilter)
	}
	return h.generation, current, nil
}

// merge adds saved blocks, from the block at on.
func (f *filter) merge(at int, b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.used = true
	for ; len(b) > 0; at, b = at+1, b[64:] {
		for i := range f.blocks[at] {
			f.blocks[at][i] |= binary.LittleEndian.Uint64(b[8*i:])
		}
	}
}
