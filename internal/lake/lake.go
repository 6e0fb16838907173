// Package lake writes and reads releases: immutable, numbered directories of
// Parquet files with a manifest, one series per tenant, of which the link
// `current` names the newest. It is the only package that imports parquet-go.
//
// It owns the layout, the file formats, and the order of operations that makes
// a release whole or absent. It does not know where rows come from, nor when a
// release is due (publish does).
package lake

import (
	"errors"
	"iter"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/billing"
)

// Errors of this package.
var (
	ErrLocked    = errors.New("lake is locked")          // another publisher has the tenant
	ErrNoRelease = errors.New("no such release")         // never made, or pruned
	ErrTaken     = errors.New("release number is taken") // another publisher was faster
	ErrDamaged   = errors.New("release is damaged")      // a hash or a row differs from the manifest
	ErrFormat    = errors.New("manifest format version") // written by another version of Daybook
)

// FS is the file system that a lake lives on: Pebble's, and what publishing
// needs beside it. OS is the real one.
type FS interface {
	vfs.FS
	// Symlink makes name a link to target.
	Symlink(target, name string) error
	// Readlink is the target of a link; it fails with fs.ErrNotExist.
	Readlink(name string) (string, error)
	// RenameNew renames and fails with fs.ErrExist when newname exists.
	RenameNew(oldname, newname string) error
}

// OS is the machine's file system.
func OS() FS { panic("not built yet") }

// Dataset names a dataset, as its directory does.
type Dataset string

// The datasets of a release.
const (
	Events      Dataset = "normalized_billing_events"
	ServiceDays Dataset = "account_service_day_cost"
	AccountDays Dataset = "daily_account_cost"
	Changes     Dataset = "account_day_changes"
	DimAccount  Dataset = "dim_account"
	DimService  Dataset = "dim_service"
	DimRegion   Dataset = "dim_region"
	DimPricing  Dataset = "dim_pricing_model"
)

// EventRow is a row of normalized_billing_events.
type EventRow struct {
	Event billing.Event // Tenant, and all that is published; Op and Digest are not
	Topic string        // the source topic's name
}

// ServiceDayRow is a row of account_service_day_cost.
type ServiceDayRow struct {
	Tenant  billing.TenantID
	Account billing.AccountID
	Service billing.ServiceName
	Total   billing.Money
	Events  int64
}

// AccountDayRow is a row of daily_account_cost.
type AccountDayRow struct {
	Tenant      billing.TenantID
	Account     billing.AccountID
	Total       billing.Money
	Complete    bool
	PublishedAt time.Time // the as-of of the release in which the row last changed
	Revision    int64     // 1 at first, one more at each change
	Previous    billing.Money
	HasPrevious bool // false in revision 1
	Events      int64
}

// ChangeKind says what a release did to an account-day.
type ChangeKind string

// The kinds of change in account_day_changes.
const (
	ChangeNew          ChangeKind = "new"
	ChangeRestated     ChangeKind = "restated"
	ChangeRetracted    ChangeKind = "retracted"
	ChangeCompleteness ChangeKind = "completeness"
)

// ChangeRow is a row of account_day_changes: the ledger of restatements.
type ChangeRow struct {
	Tenant  billing.TenantID
	Account billing.AccountID
	Day     billing.Day
	Kind    ChangeKind
	Reasons []string // LIST<STRING>? see docs/format.md: joined by "," in one string
	Old     billing.Money
	HasOld  bool
	New     billing.Money
	HasNew  bool
	Delta   billing.Money
}

// DimRow is a row of a dimension: its key, and the tenant's own columns.
type DimRow struct {
	Tenant billing.TenantID
	Key    string
	Extra  []*string // in the order of Build.WriteDimension's columns; nil is null
}

// File is one file of a release, as the manifest lists it.
type File struct {
	Path    string         `json:"path"` // relative to the release, slash-separated
	Dataset Dataset        `json:"dataset"`
	Day     string         `json:"usage_date,omitempty"`
	Rows    int64          `json:"rows"`
	Bytes   int64          `json:"bytes"`
	SHA256  string         `json:"sha256"`
	Sum     *billing.Money `json:"sum_usd,omitempty"` // of the dataset's money column
	// First and Last are the least and the greatest account of a file of a day.
	First billing.AccountID `json:"first_account,omitempty"`
	Last  billing.AccountID `json:"last_account,omitempty"`
	// WrittenBy is the release that wrote the file; a later one links it.
	WrittenBy int `json:"written_by"`
}

// DayEntry is what a manifest says of one released day.
type DayEntry struct {
	Day string `json:"usage_date"`
	// CoveredSequence is the state change up to which the day's account-days are in this release.
	CoveredSequence uint64        `json:"covered_sequence"`
	AccountDays     int64         `json:"account_days"`
	Events          int64         `json:"events"`
	Total           billing.Money `json:"total_usd"`
	// Completeness is a FOCUS TimeSectors word: complete or incomplete.
	Completeness string `json:"completeness"`
	// Reasons hold for the whole day; Accounts for one account-day each.
	Reasons  []string            `json:"reasons,omitempty"`
	Accounts map[string][]string `json:"accounts,omitempty"`
	// Dimension values of the day's winners, sorted.
	Services []string `json:"services,omitempty"`
	Regions  []string `json:"regions,omitempty"`
	Pricing  []string `json:"pricing_models,omitempty"`
	// Digest is the order-independent digest of the day's events (the xor of its account-days').
	Digest string `json:"digest,omitempty"`
}

// InputPosition is how far the release read a partition.
type InputPosition struct {
	Topic       string    `json:"topic"`
	TopicID     string    `json:"topic_id,omitempty"`
	Partition   int32     `json:"partition"`
	FirstOffset int64     `json:"first_offset"`
	NextOffset  int64     `json:"next_offset"`
	LeaderEpoch int32     `json:"leader_epoch"`
	CaughtUpAt  time.Time `json:"caught_up_at"`
}

// QuarantineCount is what quarantine held back at the time of a release.
type QuarantineCount struct {
	Reason     string        `json:"reason"`
	Topic      string        `json:"topic"`
	ArrivalDay string        `json:"arrival_day"`
	NamesDay   bool          `json:"names_account_day"`
	Records    int64         `json:"records"`
	Readable   billing.Money `json:"readable_usd"`
}

// GateResult is the verdict of one gate.
type GateResult struct {
	Gate   string   `json:"gate"`
	Passed bool     `json:"passed"`
	Detail []string `json:"detail,omitempty"` // rows named, at most 20
}

// Manifest describes a release. Its JSON is documented in docs/format.md.
type Manifest struct {
	Format         int              `json:"format"`
	Tenant         billing.TenantID `json:"tenant_id"`
	Release        int              `json:"release"`
	Previous       int              `json:"previous,omitempty"`
	RolledBackFrom int              `json:"rolled_back_from,omitempty"` // the release that was current before
	RolledBackTo   int              `json:"rolled_back_to,omitempty"`   // the release whose content this is
	AsOf           time.Time        `json:"as_of"`
	Cutoff         string           `json:"cutoff"` // time of day, UTC, on T+1
	Database       string           `json:"database_id"`
	Cluster        string           `json:"cluster_id"`
	Covered        uint64           `json:"covered_sequence"`
	JournalDigest  string           `json:"journal_digest"`
	RulesDigest    string           `json:"rules_digest"`
	Input          []InputPosition  `json:"input"`
	Days           []DayEntry       `json:"days"`
	// NotComplete lists due days without a row, with the reason (no_events).
	NotComplete []DayEntry        `json:"not_complete,omitempty"`
	Decisions   []uint64          `json:"decisions,omitempty"`
	Files       []File            `json:"files"`
	Ties        []string          `json:"ties,omitempty"` // event ids, at most 1000
	TieCount    int64             `json:"tie_count"`
	Quarantine  []QuarantineCount `json:"quarantine,omitempty"`
	Gates       []GateResult      `json:"gates"`
	Changes     ChangeSummary     `json:"changes"`
	Versions    map[string]string `json:"versions"` // format of files, daybook
}

// ChangeSummary counts a release's own rows of account_day_changes.
type ChangeSummary struct {
	New          int64         `json:"new"`
	Restated     int64         `json:"restated"`
	Retracted    int64         `json:"retracted"`
	Completeness int64         `json:"completeness"`
	Delta        billing.Money `json:"delta_usd"`
	RestatedAbs  billing.Money `json:"restated_abs_usd"` // sum of |delta| of restated and retracted
}

// Hold keeps a tenant from publishing after a rollback.
type Hold struct {
	Since time.Time `json:"since"`
	Why   string    `json:"why"`
	Who   string    `json:"who"`
}

// Lake is a directory of tenants.
type Lake struct{}

// Open names a lake; nothing is read or made. now is the clock for grace periods.
func Open(root string, fs FS, now func() time.Time) *Lake { panic("not built yet") }

// Tenants are the tenants that have a directory, ascending.
func (l *Lake) Tenants() ([]billing.TenantID, error) { panic("not built yet") }

// Tenant is one tenant's series of releases; its directory need not exist.
func (l *Lake) Tenant(t billing.TenantID) *Series { panic("not built yet") }

// Series is one tenant's releases. Reading methods may be used by anyone at any time; writing ones
// need the lock.
type Series struct{}

// Lock makes the tenant's directory if need be and locks it against other publishers; ErrLocked.
func (s *Series) Lock() (unlock func() error, err error) { panic("not built yet") }

// Recovery is what Recover found.
type Recovery struct {
	Finished int    // the release whose switch was finished; 0: none
	Aside    string // where a bad release was put; empty: none
}

// Recover finishes or sets aside a release newer than current, and empties tmp/.
func (s *Series) Recover() (Recovery, error) { panic("not built yet") }

// Current is the newest release's manifest; nil when there is none.
func (s *Series) Current() (*Manifest, error) { panic("not built yet") }

// Manifest is release n's manifest (also of pruned ones); ErrNoRelease.
func (s *Series) Manifest(n int) (*Manifest, error) { panic("not built yet") }

// Dir is the absolute directory of release n, whether or not it exists.
func (s *Series) Dir(n int) string { panic("not built yet") }

// Resolve is what `current` names now: its number and absolute directory. ErrNoRelease.
func (s *Series) Resolve() (n int, dir string, err error) { panic("not built yet") }

// Entry is one line of List.
type Entry struct {
	Release int
	Pruned  bool
	Current bool
	Label   string
	Own     int64 // bytes that this release alone holds
	Bytes   int64 // of all its files
}

// List is every release ever made, oldest first.
func (s *Series) List() ([]Entry, error) { panic("not built yet") }

// Hold is the hold in force; nil when there is none.
func (s *Series) Hold() (*Hold, error) { panic("not built yet") }

// SetHold sets, or with nil lifts, the hold. Needs the lock.
func (s *Series) SetHold(h *Hold) error { panic("not built yet") }

// Keep labels a release so that it is never pruned; an empty label lifts that. Needs the lock.
func (s *Series) Keep(n int, label string) error { panic("not built yet") }

// Retention says which releases Prune leaves.
type Retention struct {
	Keep  int           // the newest so many
	Age   time.Duration // and all younger; by as-of
	Grace time.Duration // a pruned release is renamed away, and removed this much later
}

// Prune removes what retention does not keep and reports the releases renamed away. Needs the lock.
func (s *Series) Prune(r Retention, dryRun bool) ([]int, error) { panic("not built yet") }

// Verify reads every file of a release and compares size, hash, rows and sums with the manifest.
func (s *Series) Verify(m *Manifest, progress func(done, total int64)) error { panic("not built yet") }

// ReadAccountDays reads a day's daily_account_cost from a release, its hash checked first.
func (s *Series) ReadAccountDays(m *Manifest, d billing.Day) ([]AccountDayRow, error) {
	panic("not built yet")
}

// ReadServiceDays reads a day's account_service_day_cost, its hash checked first.
func (s *Series) ReadServiceDays(m *Manifest, d billing.Day) ([]ServiceDayRow, error) {
	panic("not built yet")
}

// ReadEvents reads a file of normalized_billing_events.
func (s *Series) ReadEvents(m *Manifest, f File) iter.Seq2[*EventRow, error] { panic("not built yet") }

// ReadChanges reads the ledger rows that release n wrote.
func (s *Series) ReadChanges(m *Manifest, n int) ([]ChangeRow, error) { panic("not built yet") }

// Begin starts building release n in tmp/, on top of prev (nil: the first). Needs the lock.
func (s *Series) Begin(n int, prev *Manifest) (*Build, error) { panic("not built yet") }

// Build is a release being written. Methods that write different files may run
// concurrently; the rest is one goroutine's. End it with Publish or Abort.
type Build struct{}

// Link takes a file over from the previous release, as a hard link.
func (b *Build) Link(f File) error { panic("not built yet") }

// WriteEvents writes one file of a day's events, part numbers from 0, and returns its manifest entry.
// rows must be ascending by account and event id.
func (b *Build) WriteEvents(d billing.Day, part int, rows iter.Seq2[*EventRow, error]) (File, error) {
	panic("not built yet")
}

// WriteServiceDays writes a day's service-days, ascending by account and service.
func (b *Build) WriteServiceDays(d billing.Day, rows []ServiceDayRow) (File, error) {
	panic("not built yet")
}

// WriteAccountDays writes a day's account-days, ascending by account.
func (b *Build) WriteAccountDays(d billing.Day, rows []AccountDayRow) (File, error) {
	panic("not built yet")
}

// WriteChanges writes this release's ledger, ascending by day and account.
func (b *Build) WriteChanges(rows []ChangeRow) (File, error) { panic("not built yet") }

// WriteDimension writes a dimension, ascending by key; columns name Extra.
func (b *Build) WriteDimension(ds Dataset, columns []string, rows []DimRow) (File, error) {
	panic("not built yet")
}

// ReadBack reads what this build wrote (not what it linked), from disk, and checks it against the
// entries: rows, sums, order, uniqueness of keys, tenant, nulls. Each fault is one line.
func (b *Build) ReadBack() (faults []string, err error) { panic("not built yet") }

// Publish writes the manifest, syncs everything, renames the build to its number, and switches
// current. An outcome that is unclear is read back. ErrTaken.
func (b *Build) Publish(m *Manifest) error { panic("not built yet") }

// Abort removes the build.
func (b *Build) Abort() error { panic("not built yet") }

// Cut says where a day's accounts are split into files: a function of keys and rows alone.
type Cut struct {
	First, Last billing.AccountID
	Rows        int64
}

// Cuts splits ascending accounts with their row counts into files of at most limit rows each,
// where a single account is never split.
func Cuts(accounts []billing.AccountID, rows []int64, limit int64) []Cut { panic("not built yet") }
