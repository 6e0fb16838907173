package lake

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"daybook/internal/billing"
)

// What a tenant's directory holds.
const (
	releasesDir  = "releases"    // NNNNNN/, one directory a release
	manifestsDir = "manifests"   // NNNNNN.json, of every release ever made, kept for good; of pruned ones NNNNNN.json.gz
	tmpDir       = "tmp"         // what is being written
	asideDir     = "aside"       // releases that were never current and failed their hashes
	prunedDir    = "pruned"      // NNNNNN, pruned releases that are being removed
	currentLink  = "current"     // → releases/NNNNNN
	lockName     = "lock"        // empty, never removed
	holdName     = "hold.json"   // only while the tenant is on hold
	keptName     = "kept.json"   // labels
	prunedName   = "pruned.json" // releases in their grace period, and since when
	manifestName = "manifest.json"
)

// dirMode is that of every directory of a lake. The process's umask may take more away; others than owner
// and group may not read what a tenant is charged, whatever it says.
const dirMode = 0o750

// Lake is a directory of tenants.
type Lake struct {
	root string
	fs   FS
	now  func() time.Time
}

// Open names a lake; nothing is read or made. now is the clock for grace periods.
func Open(root string, fsys FS, now func() time.Time) *Lake {
	if absolute, err := filepath.Abs(root); err == nil {
		root = absolute
	}
	return &Lake{root: root, fs: fsys, now: now}
}

// Tenants are the tenants that have a directory, ascending.
func (l *Lake) Tenants() ([]billing.TenantID, error) {
	names, err := l.fs.List(l.root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list lake: %w", err)
	}
	var tenants []billing.TenantID
	for _, name := range names {
		if !validTenant(name) {
			continue
		}
		// A tenant's directory is one that was locked at least once.
		if ok, err := exists(l.fs, l.fs.PathJoin(l.root, name, lockName)); err == nil && ok {
			tenants = append(tenants, billing.TenantID(name))
		}
	}
	slices.Sort(tenants)
	return tenants, nil
}

// Tenant is one tenant's series of releases; its directory need not exist.
func (l *Lake) Tenant(t billing.TenantID) *Series {
	return &Series{fs: l.fs, now: l.now, root: l.root, tenant: t, dir: l.fs.PathJoin(l.root, string(t))}
}

// validTenant repeats the tenant's charset (1–64 of [A-Za-z0-9_.-], no dot in
// front), because here it becomes a directory's name.
func validTenant(name string) bool {
	if len(name) < 1 || len(name) > 64 || name[0] == '.' {
		return false
	}
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

// number is a release's number as in names of files and directories.
func number(n int) string { return fmt.Sprintf("%06d", n) }

// parseNumber reads what number wrote, and nothing else.
func parseNumber(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || number(n) != s {
		return 0, false
	}
	return n, true
}
