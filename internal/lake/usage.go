package lake

import "errors"

// Usage is what a tenant's releases hold on disk: their Parquet files, each counted once however
// many releases link it. Manifests, and pruned releases in their grace period, are not in it.
type Usage struct {
	Releases int   // that are there
	Bytes    int64 // of all of them together
	Newest   int64 // of these, what the newest release alone holds: what removing it would free
}

// Usage adds up what the releases' manifests list.
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
			shared, left := holders[f.Path]
			if !left {
				continue // counted at another release that holds it
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
