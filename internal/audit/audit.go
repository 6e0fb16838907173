package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"time"

	"daybook/internal/billing"
	"daybook/internal/lake"
)

// Config is the configuration of an audit. The tags have the defaults.
type Config struct {
	Release     int           `help:"The release; default the newest." placeholder:"N"`
	MemoryBytes int64         `help:"Memory for sorting, in bytes; what does not fit goes to temporary files." default:"268435456" env:"DAYBOOK_AUDIT_MEMORY_BYTES"`
	Temp        string        `help:"Directory for temporary files; they need up to the size of the topic, uncompressed. Default: the system's." placeholder:"DIR" env:"DAYBOOK_AUDIT_TEMP"`
	Explain     []AccountDay  `help:"List the records behind an account-day (repeatable)." placeholder:"DAY/ACCOUNT" sep:"none"`
	Limit       int           `help:"Differences to keep and print; all are counted. 0: all." default:"1000"`
	IdleTimeout time.Duration `help:"How long the brokers may send nothing before the audit gives up." default:"1m"`
}

// minMemory is the smallest memory that makes sorted runs of a useful length.
const minMemory = 1 << 20

// Validate returns all faults of the configuration in one error.
func (c *Config) Validate() error {
	var faults []error
	if c.MemoryBytes < minMemory {
		faults = append(faults, fmt.Errorf("--memory-bytes must be at least %d", minMemory))
	}
	if c.Limit < 0 {
		faults = append(faults, errors.New("--limit must not be negative"))
	}
	if c.IdleTimeout <= 0 {
		faults = append(faults, errors.New("--idle-timeout must be greater than 0"))
	}
	if c.Temp != "" {
		if info, err := os.Stat(c.Temp); err != nil {
			faults = append(faults, fmt.Errorf("--temp: %w", err))
		} else if !info.IsDir() {
			faults = append(faults, fmt.Errorf("--temp: %s is no directory", c.Temp))
		}
	}
	return errors.Join(faults...)
}

// AccountDay is an account-day to explain.
type AccountDay struct {
	Day     string `json:"usage_date"`
	Account string `json:"account_id"`
}

// UnmarshalText parses DAY/ACCOUNT. The account may contain any character.
func (a *AccountDay) UnmarshalText(text []byte) error {
	day, account, ok := strings.Cut(string(text), "/")
	if _, err := time.Parse(time.DateOnly, day); err != nil || !ok || account == "" {
		return fmt.Errorf("%q is not DAY/ACCOUNT, such as 2025-01-03/0042", text)
	}
	a.Day, a.Account = day, account
	return nil
}

// Reader returns all records of an input, those of a partition in the order of offsets, or an error. Records
// outside the input are ignored.
type Reader func(ctx context.Context, in Input) iter.Seq2[Record, error]

// Deps are the dependencies of an Auditor.
type Deps struct {
	Lake *lake.Lake
	Read Reader
	// Progress is called with the progress of a stage ("records", then "days"). It may be nil.
	Progress func(stage string, done, total int64)
}

// Auditor audits releases of one tenant.
type Auditor struct {
	cfg    Config
	deps   Deps
	tenant billing.TenantID
}

// New returns an Auditor. The configuration must be valid.
func New(cfg Config, tenant billing.TenantID, deps Deps) *Auditor {
	if deps.Progress == nil {
		deps.Progress = func(string, int64, int64) {}
	}
	cfg.Temp = cmp.Or(cfg.Temp, os.TempDir())
	return &Auditor{cfg: cfg, deps: deps, tenant: tenant}
}

// Report is the result of an audit.
type Report struct {
	Tenant  billing.TenantID `json:"tenant_id"`
	Release int              `json:"release"`
	AsOf    time.Time        `json:"as_of"`
	// Records is the number of records that were read, of all tenants. Missing is the number of offsets without a
	// record (transactions, compaction).
	Records int64 `json:"records"`
	Missing int64 `json:"offsets_without_record"`
	// Totals of the log.
	Days        int    `json:"days"`
	AccountDays int64  `json:"account_days"`
	ServiceDays int64  `json:"service_days"`
	Events      int64  `json:"events"`
	Withheld    int64  `json:"withheld_records"`
	Total       string `json:"total_usd"`
	// Differing is the number of differing cells and rows. Differences has the first of them.
	Differing   int64         `json:"differing"`
	Differences []Difference  `json:"differences"`
	Explained   []Explanation `json:"explained,omitempty"`
}

// Err returns ErrDifference if anything differs.
func (r *Report) Err() error {
	if r.Differing == 0 {
		return nil
	}
	return fmt.Errorf("%w: release %d and the log differ in %d places", ErrDifference, r.Release, r.Differing)
}

// Audit rebuilds the release from the log and compares. Differences are in the report and are not an error.
func (a *Auditor) Audit(ctx context.Context) (*Report, error) {
	s := a.deps.Lake.Tenant(a.tenant)
	m, err := s.Find(a.cfg.Release)
	if err == nil && a.cfg.Release != 0 {
		err = s.Unpruned(m.Release)
	}
	if err != nil {
		return nil, err
	}
	if err := s.Verify(m, func(done, total int64) { a.deps.Progress("bytes of files", done, total) }); err != nil {
		return nil, err
	}
	b, err := basisOf(s, m)
	if err != nil {
		return nil, err
	}
	c := newComparison(s, m, &a.cfg)
	if err := a.audit(ctx, b, c); err != nil {
		return nil, err
	}
	slices.SortStableFunc(c.report.Differences, func(x, y Difference) int {
		return cmp.Or(cmp.Compare(x.Day, y.Day), cmp.Compare(x.Account, y.Account))
	})
	return c.finish(), nil
}

// audit rebuilds the days of a release from its basis and compares them.
func (a *Auditor) audit(ctx context.Context, b *basis, c *comparison) (err error) {
	winners, err := a.collectPostings(ctx, b)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, winners.close()) }()
	c.report.Records += winners.records
	c.report.Missing += winners.missing
	return c.compare(ctx, b, winners, a.deps.Progress)
}
