package billing

// Identifiers have types of their own, so that the compiler does not accept one for another. All are valid
// UTF-8 within the bounds that decode enforces.
type (
	// TenantID is 1–64 bytes of [A-Za-z0-9_.-], not starting with a dot.
	TenantID string
	// EventID identifies a charge within its tenant. It is 1–256 bytes without control characters, and the same
	// in retries and corrections.
	EventID string
	// AccountID is 1–256 bytes. Leading zeros are part of it.
	AccountID string
	// ServiceName is 1–256 bytes.
	ServiceName string
	// Region is at most 256 bytes; empty means null.
	Region string
	// PricingModel is at most 256 bytes; empty means null.
	PricingModel string
	// Period is an invoice month as YYYY-MM; empty means "the usage month".
	Period string
	// TopicOrdinal is the place of a topic in the state's identity. It never changes, because it is part of the
	// order of versions.
	TopicOrdinal uint16
)

// DefaultTenant is the tenant of an event that names no tenant, in a topic that is not bound to one.
const DefaultTenant TenantID = "default"

// AccountDay is the unit of recomputation.
type AccountDay struct {
	Tenant  TenantID
	Account AccountID
	Day     Day
}

// MaxIDBytes bounds the length of event id, account, service, region and pricing model.
const MaxIDBytes = 256

// tenantRule is the rule of TenantID.Valid, for messages.
const tenantRule = "a tenant is 1 to 64 of [A-Za-z0-9_.-], not starting with a dot"

// Valid reports whether t follows the rule of TenantID.
func (t TenantID) Valid() bool {
	if len(t) < 1 || len(t) > 64 || t[0] == '.' {
		return false
	}
	for i := range len(t) {
		c := t[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && !isDigit(c) && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	return true
}
