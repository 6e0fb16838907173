package billing

import "time"

// NegativePolicy says which negative costs a tenant's books accept.
type NegativePolicy string

// The policies.
const (
	// RejectNegative quarantines every negative cost.
	RejectNegative NegativePolicy = "reject"
	// LabelledNegative accepts one whose charge category is Credit or
	// Adjustment.
	LabelledNegative NegativePolicy = "labelled"
	// AllowNegative accepts all.
	AllowNegative NegativePolicy = "allow"
)

// Rules is everything that decides verdicts. It is fixed in a state's
// identity: with other rules the same log gives other books.
type Rules struct {
	// DefaultNegative applies to every tenant that Negative does not name.
	DefaultNegative NegativePolicy              `json:"default_negative"`
	Negative        map[TenantID]NegativePolicy `json:"negative,omitempty"`
	// Bindings binds a topic, by name, to one tenant.
	Bindings map[string]TenantID `json:"bindings,omitempty"`
	// MaxUsageAhead bounds usage_date after the record's timestamp.
	MaxUsageAhead time.Duration `json:"max_usage_ahead_ns"`
	// MaxIngestedAhead bounds ingested_at after the record's timestamp.
	MaxIngestedAhead time.Duration `json:"max_ingested_ahead_ns"`
	// MaxRecordBytes bounds a record's value.
	MaxRecordBytes int `json:"max_record_bytes"`
}

// NegativeFor is the policy for one tenant.
func (r Rules) NegativeFor(t TenantID) NegativePolicy {
	if p, ok := r.Negative[t]; ok {
		return p
	}
	return r.DefaultNegative
}

// Validate reports every fault of the rules in one error.
func (r Rules) Validate() error { panic("not built yet") }

// Digest identifies the rules: equal rules have equal digests.
func (r Rules) Digest() Digest { panic("not built yet") }

// DefaultRules are the rules of a state that was created without flags:
// negatives rejected, usage at most 7 days and ingested_at at most 24 h ahead
// of the record's timestamp, values up to 1 MiB.
func DefaultRules() Rules {
	return Rules{
		DefaultNegative:  RejectNegative,
		MaxUsageAhead:    7 * 24 * time.Hour,
		MaxIngestedAhead: 24 * time.Hour,
		MaxRecordBytes:   1 << 20,
	}
}
