// Package lake writes and reads releases: immutable, numbered directories of
// Parquet files with a manifest, one series per tenant, of which the link
// `current` names the newest. It is the only package that imports parquet-go.
//
// It owns the layout, the file formats (docs/format-release.md draws both), and
// the order of operations that makes a release whole or absent. It does not
// know where rows come from, nor when a release is due (publish does).
//
// Concurrency: reading methods of a Series may run at any time, in any process.
// Writing ones need the lock that Series.Lock takes. Methods of a Build that
// write different files may run concurrently.
//
// Bytes: the same rows give the same file, also where row groups of an earlier one are taken over.
//
// Durability: a release is visible once `current` names it, and everything it
// consists of was synced before. A crash at any moment leaves the previous
// release current and whole; Series.Recover finishes or sets aside what was
// begun.
package lake

import "errors"

// Errors of this package.
var (
	ErrLocked    = errors.New("lake is locked")          // another publisher has the tenant
	ErrNoRelease = errors.New("no such release")         // never made, or pruned
	ErrTaken     = errors.New("release number is taken") // another publisher was faster
	ErrDamaged   = errors.New("release is damaged")      // a hash or a row differs from the manifest
	ErrFormat    = errors.New("manifest format version") // written by another version of Daybook
)
