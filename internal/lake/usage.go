package lake

import "errors"

// Usage is the disk space of a tenant's releases: their Parquet files, each counted once, however many releases link
// it. Manifests are not counted.
type Usage struct {
	Releases int   // that are on disk
	Bytes    int64 // of all their files
	Newest   int64 // of the files of the newest release alone: what its removal would free
}

// Usage sums up what the releases' manifests list.
func (s *Series) Usage() (u Usage, err error) {
	current, _, err := s.Resolve()
	if errors.Is(err, ErrNoRelease) {
		return u, nil
	}
	if err != nil {
		return u, err
	}
	present, err := s.present()
	if err != nil {
		return u, err
	}
	manifests, holders, err := s.holdings(present)
	if err != nil {
		return u, err
	}
	u.Releases = len(manifests)
	for n, m := range manifests {
		for _, f := range m.Files {
			shared, counted := holders[f.Path]
			if !counted {
				continue // counted with another release
			}
			delete(holders, f.Path)
			u.Bytes += f.Bytes
			if n == current && shared == 1 {
				u.Newest += f.Bytes
			}
		}
	}
	return u, nil
}
