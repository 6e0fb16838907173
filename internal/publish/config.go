package publish

import (
	"errors"
	"fmt"
	"time"

	"daybook/internal/billing"
)

// Config says how to publish. The tags state the defaults; a test holds DefaultConfig to them.
type Config struct {
	AsOf            AsOf               `help:"Publish as of this moment (RFC 3339, or a date for its 00:00 UTC) instead of now. It decides which days are due, never which events count." placeholder:"TIME" env:"DAYBOOK_AS_OF"`
	Cutoff          TimeOfDay          `help:"Time of day, UTC, on the day after a usage date at which that date becomes due." default:"02:00" placeholder:"HH:MM" env:"DAYBOOK_CUTOFF"`
	Wait            time.Duration      `help:"How long to wait for input that is behind before giving up with exit code 3." default:"0s" env:"DAYBOOK_WAIT"`
	AllowIncomplete bool               `help:"Publish days whose input is behind, marked data_complete=false." env:"DAYBOOK_ALLOW_INCOMPLETE"`
	Tenants         []billing.TenantID `name:"tenant" help:"Only this tenant (repeatable)." placeholder:"TENANT"`
	DryRun          bool               `help:"Compute and check a release, print what would change, and publish nothing."`
	Limits          Limits             `embed:""`
	AllowEmptyDays  bool               `help:"Allow days without any event between days with events." env:"DAYBOOK_ALLOW_EMPTY_DAYS"`
	Dimensions      string             `help:"Directory with the tenants' own dimension files, such as TENANT/dim_account.csv. A dimension without a file stays as it was released." placeholder:"DIR" env:"DAYBOOK_DIMENSIONS"`
	ExpectAccounts  string             `help:"CSV file of accounts that should send something every day (account_id; optionally tenant_id, from, to): a due day without gets a row that is not complete. Without this flag the expectations stay as released; a file with nothing but its header ends them." placeholder:"FILE" env:"DAYBOOK_EXPECT_ACCOUNTS"`
	Attributes      Attributes         `help:"Which of the fields that Daybook does not model are published in the column attributes: all, none, or names with commas between them. A change needs a backfill of all released days." default:"all" placeholder:"all|none|LIST" env:"DAYBOOK_ATTRIBUTES"`
	Workers         int                `help:"Days that are computed concurrently." default:"2" env:"DAYBOOK_PUBLISH_WORKERS"`
	RowsPerFile     int64              `help:"Rows of normalized_billing_events in a file before a day is split by account." default:"1048576" hidden:""`
	Poll            time.Duration      `help:"How often to check again while waiting." default:"2s" hidden:""`
}

// Limits bound how much of the previous release one release may change.
type Limits struct {
	MaxRestatedUSD      string `name:"max-restated-usd" help:"Fail when restatements and retractions move more than this many dollars (sum of absolute deltas). Empty: no limit." placeholder:"USD" env:"DAYBOOK_MAX_RESTATED_USD"`
	MaxRestatedDays     int64  `name:"max-restated-days" help:"Fail when more than this many account-days are restated or retracted; -1: no limit." default:"-1" env:"DAYBOOK_MAX_RESTATED_DAYS"`
	MaxRetracted        int64  `name:"max-retracted" help:"Account-days that may always be retracted, whatever their share." default:"100" env:"DAYBOOK_MAX_RETRACTED"`
	MaxRetractedPercent int64  `name:"max-retracted-percent" help:"Percent of the released account-days that may be retracted." default:"10" env:"DAYBOOK_MAX_RETRACTED_PERCENT"`
}

// DefaultConfig is the configuration of a command line without flags.
func DefaultConfig() Config {
	return Config{
		Cutoff:      TimeOfDay(2 * time.Hour),
		Limits:      Limits{MaxRestatedDays: -1, MaxRetracted: 100, MaxRetractedPercent: 10},
		Workers:     2,
		RowsPerFile: 1 << 20,
		Poll:        2 * time.Second,
	}
}

// Validate reports every fault of the configuration in one error.
func (c *Config) Validate() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(c.Cutoff < 0 || time.Duration(c.Cutoff) >= 24*time.Hour, "--cutoff must be a time of day, 00:00 to 23:59")
	fault(c.Wait < 0, "--wait must not be negative")
	fault(c.Workers < 1 || c.Workers > 64, "--workers must be 1 to 64, not %d", c.Workers)
	fault(c.RowsPerFile < 1, "--rows-per-file must be positive")
	fault(c.Limits.MaxRestatedDays < -1, "--max-restated-days must be -1 or more")
	fault(c.Limits.MaxRetracted < 0, "--max-retracted must not be negative")
	fault(c.Limits.MaxRetractedPercent < 0 || c.Limits.MaxRetractedPercent > 100, "--max-retracted-percent must be 0 to 100")
	if _, _, err := c.Limits.restatedUSD(); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// restatedUSD is the limit in dollars; ok is false where there is none.
func (l *Limits) restatedUSD() (limit billing.Money, ok bool, err error) {
	if l.MaxRestatedUSD == "" {
		return limit, false, nil
	}
	if err := limit.UnmarshalText([]byte(l.MaxRestatedUSD)); err != nil {
		return limit, false, fmt.Errorf("--max-restated-usd: %w", err)
	}
	if limit.Sign() < 0 {
		return limit, false, errors.New("--max-restated-usd must not be negative")
	}
	return limit, true, nil
}
