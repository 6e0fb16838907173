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
	"daybook/internal/disk"
)

// The names in a tenant's directory.
const (
	releasesDir  = "releases"    // NNNNNN/: one directory for each release
	manifestsDir = "manifests"   // NNNNNN.json for each release ever published; NNNNNN.json.gz once it is pruned
	tmpDir       = "tmp"         // files and releases that are being written
	asideDir     = "aside"       // releases that never became current and failed verification
	prunedDir    = "pruned"      // NNNNNN/: pruned releases that are being removed
	currentLink  = "current"     // → releases/NNNNNN
	lockName     = "lock"        // empty, never removed
	holdName     = "hold.json"   // exists only while the tenant is on hold
	keptName     = "kept.json"   // labels of releases that are never pruned
	prunedName   = "pruned.json" // releases in their grace period, and when it began
	manifestName = "manifest.json"
)

// dirMode is the mode of every directory of a lake. The umask may restrict it further. Only owner and group may read
// a tenant's costs, whatever the umask allows.
const dirMode = 0o750

// Lake is a directory with a subdirectory for each tenant.
type Lake struct {
	root string
	fs   disk.FS
	now  func() time.Time
}

// Open returns the lake in a directory. It reads and creates nothing. now is the clock for grace periods.
func Open(root string, fsys disk.FS, now func() time.Time) *Lake {
	if absolute, err := filepath.Abs(root); err == nil {
		root = absolute
	}
	return &Lake{root: root, fs: fsys, now: now}
}

// Tenants returns the tenants that have a directory, in ascending order.
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
		// Lock creates the lock file, so a directory without one is no tenant's.
		if ok, err := disk.Exists(l.fs, filepath.Join(l.root, name, lockName)); err == nil && ok {
			tenants = append(tenants, billing.TenantID(name))
		}
	}
	slices.Sort(tenants)
	return tenants, nil
}

// Tenant returns one tenant's series of releases. Its directory need not exist.
func (l *Lake) Tenant(t billing.TenantID) *Series {
	return &Series{fs: l.fs, now: l.now, root: l.root, tenant: t, dir: filepath.Join(l.root, string(t))}
}

// validTenant reports whether a tenant's id may name a directory: 1 to 64 characters of [A-Za-z0-9_.-], no leading
// dot. The rule for ids of tenants is the same; it is repeated here because this package makes paths of them.
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

// number formats a release number for names of files and directories.
func number(n int) string { return fmt.Sprintf("%06d", n) }

// parseNumber parses exactly what number formats.
func parseNumber(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || number(n) != s {
		return 0, false
	}
	return n, true
}
