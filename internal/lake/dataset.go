package lake

import (
	"time"

	"daybook/internal/billing"
)

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
	// Digest is that of the event as the state has it, which may hold attributes that are not published.
	// It is no column: the digest of a file is made of it.
	Digest billing.Digest
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

// Datasets are all datasets, facts first.
func Datasets() []Dataset {
	return []Dataset{AccountDays, ServiceDays, Events, Changes, DimAccount, DimService, DimRegion, DimPricing}
}
