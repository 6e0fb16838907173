// Package lake writes and reads releases: immutable, numbered directories of Parquet files with a manifest. Each tenant
// has one series of releases, and the link `current` names the newest.
//
// It owns the layout, the datasets' columns, the manifest (docs/format-release.md describes them), and the order of
// operations that makes a release whole or absent. It does not know where rows come from or when a release is due:
// publish does. How Parquet files are encoded is internal/parquet's.
//
// Concurrency: reading methods of a Series may run at any time, in any process. Writing methods need the lock that
// Series.Lock takes. Methods of a Build that write different files may run concurrently.
//
// Bytes: the same rows give the same file, whether its row groups are written or reused from an earlier release.
//
// Durability: a release is visible once `current` names it, and everything in it was synced before. A crash at any
// moment leaves the previous release current and whole. Series.Recover completes an interrupted switch, or sets the
// interrupted release aside.
package lake

import "errors"

// Errors of this package.
var (
	ErrLocked    = errors.New("lake is locked")          // another publisher holds the tenant's lock
	ErrNoRelease = errors.New("no such release")         // it was never published, or it was pruned
	ErrTaken     = errors.New("release number is taken") // another publisher published it first
	ErrDamaged   = errors.New("release is damaged")      // a hash or a row differs from the manifest
	ErrFormat    = errors.New("manifest format version") // it was written by another version of Daybook
)
