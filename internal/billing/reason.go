package billing

import "slices"

// Reason is why a record is not an event. Metrics, quarantine and docs/events.md use it, and states store it, so no
// reason is ever renamed.
type Reason string

// The reasons, in the order of the checks. A record with several faults is rejected for the first of them.
const (
	// The record has no value (a tombstone); a deletion is written with "op": "delete".
	RecordNull Reason = "record_null"
	// The value is longer than the limit, 1 MiB by default.
	RecordTooLarge Reason = "record_too_large"
	// The value begins with a byte order mark.
	JSONByteOrderMark Reason = "json_byte_order_mark"
	// The value is valid JSON up to some place, but no object.
	JSONNotObject Reason = "json_not_object"
	// The value is not JSON: cut short, or written wrongly.
	JSONSyntax Reason = "json_syntax"
	// The value is not valid UTF-8, or a \u escape is half a surrogate pair.
	JSONInvalidUTF8 Reason = "json_invalid_utf8"
	// An object, the event or one inside it, has the same key twice.
	JSONDuplicateKey Reason = "json_duplicate_key"
	// Objects and arrays are nested deeper than 64.
	JSONTooDeep Reason = "json_too_deep"
	// Something other than white space follows the object.
	JSONTrailingData Reason = "json_trailing_data"
	// The record has no timestamp, or one outside the years 1970 to 2262, so no bound in time can be checked.
	RecordTimestampMissing Reason = "record_timestamp_missing"
	// tenant_id is not 1 to 64 of A-Z a-z 0-9 _ . -, or starts with a dot.
	TenantIDInvalid Reason = "tenant_id_invalid"
	// tenant_id is another than the one that the topic is bound to.
	TenantMismatch Reason = "tenant_mismatch"
	// event_id is absent or null.
	EventIDMissing Reason = "event_id_missing"
	// event_id is no string, empty, longer than 256 bytes, or holds a control character.
	EventIDInvalid Reason = "event_id_invalid"
	// op is neither upsert nor delete.
	OpInvalid Reason = "op_invalid"
	// ingested_at or ingestion_date is neither an RFC 3339 time with offset nor a date, or not in 1970 to 2262.
	IngestedAtInvalid Reason = "ingested_at_invalid"
	// ingested_at and ingestion_date are both given and do not agree.
	IngestedAtConflict Reason = "ingested_at_conflict"
	// ingested_at is more than 24 hours (a setting) after the record's timestamp.
	IngestedAtFuture Reason = "ingested_at_future"
	// source_revision is not an integer from 0 to 2^63 - 1.
	SourceRevisionInvalid Reason = "source_revision_invalid"
	// account_id is absent or null.
	AccountIDMissing Reason = "account_id_missing"
	// account_id is a JSON number, whose leading zeros are gone; it must be a string.
	AccountIDNumber Reason = "account_id_number"
	// account_id is no string, empty, or longer than 256 bytes.
	AccountIDInvalid Reason = "account_id_invalid"
	// service_name is absent or null.
	ServiceNameMissing Reason = "service_name_missing"
	// service_name is no string, empty, or longer than 256 bytes.
	ServiceNameInvalid Reason = "service_name_invalid"
	// Neither usage_date nor usage_start is given.
	UsageDateMissing Reason = "usage_date_missing"
	// usage_date or usage_start is neither a date nor an RFC 3339 time with offset, or outside the years 1970 to 2262.
	UsageDateInvalid Reason = "usage_date_invalid"
	// usage_date and usage_start name different days in UTC.
	UsageDateConflict Reason = "usage_date_conflict"
	// usage_date is more than 7 days (a setting) after the record's timestamp.
	UsageDateFuture Reason = "usage_date_future"
	// currency is not USD; nothing is ever converted.
	CurrencyUnsupported Reason = "currency_unsupported"
	// cost_usd is absent or null.
	CostMissing Reason = "cost_missing"
	// cost_usd is neither a JSON number nor a string that holds one.
	CostInvalid Reason = "cost_invalid"
	// cost_usd does not fit DECIMAL(38,18): 20 digits before the point.
	CostOutOfRange Reason = "cost_out_of_range"
	// charge_category is none of Usage, Purchase, Tax, Credit, Adjustment.
	ChargeCategoryInvalid Reason = "charge_category_invalid"
	// cost_usd is negative and the tenant's policy is reject.
	CostNegative Reason = "cost_negative"
	// cost_usd is negative, the tenant's policy is labelled, and charge_category is neither Credit nor Adjustment.
	CostNegativeUnlabelled Reason = "cost_negative_unlabelled"
	// billing_period is not YYYY-MM.
	BillingPeriodInvalid Reason = "billing_period_invalid"
	// region is neither null nor a string of at most 256 bytes.
	RegionInvalid Reason = "region_invalid"
	// pricing_model is neither null nor a string of at most 256 bytes.
	PricingModelInvalid Reason = "pricing_model_invalid"
)

// reasons are all reasons, in the order of the checks.
var reasons = []Reason{
	RecordNull, RecordTooLarge,
	JSONByteOrderMark, JSONNotObject, JSONSyntax, JSONInvalidUTF8, JSONDuplicateKey, JSONTooDeep, JSONTrailingData,
	RecordTimestampMissing,
	TenantIDInvalid, TenantMismatch,
	EventIDMissing, EventIDInvalid,
	OpInvalid,
	IngestedAtInvalid, IngestedAtConflict, IngestedAtFuture,
	SourceRevisionInvalid,
	AccountIDMissing, AccountIDNumber, AccountIDInvalid,
	ServiceNameMissing, ServiceNameInvalid,
	UsageDateMissing, UsageDateInvalid, UsageDateConflict, UsageDateFuture,
	CurrencyUnsupported,
	CostMissing, CostInvalid, CostOutOfRange,
	ChargeCategoryInvalid,
	CostNegative, CostNegativeUnlabelled,
	BillingPeriodInvalid,
	RegionInvalid, PricingModelInvalid,
}

// Reasons returns all reasons, in the order of the checks. The caller owns the slice.
func Reasons() []Reason { return slices.Clone(reasons) }
