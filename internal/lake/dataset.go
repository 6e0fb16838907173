package lake

import (
	"time"

	"daybook/internal/billing"
)

// Dataset is the name of a dataset and of its directory.
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
	Event billing.Event // without Op and Digest, which are not published
	Topic string        // the name of the topic that the record is in
	// Digest is the digest of the event in the state, with attributes that may not be published. It is not a column:
	// the digest of a file is the sum of them.
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
	PublishedAt time.Time // as-of of the release in which the row last changed
	Revision    int64     // starts at 1, and grows by 1 with each change
	Previous    billing.Money
	HasPrevious bool // false in revision 1
	Events      int64
}

// ChangeKind is what a release did to an account-day.
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
	Reasons []string // stored as one string, joined by commas: docs/format-release.md
	Old     billing.Money
	HasOld  bool
	New     billing.Money
	HasNew  bool
	Delta   billing.Money
}

// DimRow is a row of a dimension: its key and the tenant's own columns.
type DimRow struct {
	Tenant billing.TenantID
	Key    string
	Extra  []*string // in the order of the columns given to Build.WriteDimension; nil is null
}

// Datasets returns all datasets, facts first.
func Datasets() []Dataset {
	return []Dataset{AccountDays, ServiceDays, Events, Changes, DimAccount, DimService, DimRegion, DimPricing}
}
