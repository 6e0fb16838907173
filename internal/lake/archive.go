package lake

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"daybook/internal/disk"
)

// The suffixes of manifests in manifests/.
const (
	keptSuffix     = ".json"
	archivedSuffix = ".json.gz" // of a pruned release
)

// archiveManifests compresses the manifests of pruned releases. A manifest lists every file of its release, so
// uncompressed manifests would in time be larger than the releases.
func (s *Series) archiveManifests() error {
	present, err := s.present()
	if err != nil {
		return err
	}
	kept, err := s.numbers(manifestsDir, keptSuffix)
	if err != nil {
		return err
	}
	archived := false
	for _, n := range kept {
		if len(present) == 0 || n >= present[len(present)-1] || slices.Contains(present, n) {
			continue
		}
		if err := s.archiveManifest(n); err != nil {
			return fmt.Errorf("archive manifest of release %d: %w", n, err)
		}
		archived = true
	}
	if !archived {
		return nil
	}
	return s.fs.SyncDir(s.path(manifestsDir))
}

// archiveManifest replaces a manifest by a compressed one. A crash leaves either of them, or both.
func (s *Series) archiveManifest(n int) error {
	from, to := s.path(manifestsDir, number(n)+keptSuffix), s.path(manifestsDir, number(n)+archivedSuffix)
	data, err := disk.ReadFile(s.fs, from)
	if err != nil {
		return err
	}
	var small bytes.Buffer
	w := gzip.NewWriter(&small)
	_, err = w.Write(data)
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	if err := disk.ReplaceFile(s.fs, s.path(tmpDir, number(n)+archivedSuffix), to, small.Bytes()); err != nil {
		return err
	}
	if err := s.fs.Remove(from); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// inflate decompresses a manifest.
func inflate(data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
