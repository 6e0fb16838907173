package billing

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Limits of the rules themselves.
const (
	maxAhead       = 10 * 366 * 24 * time.Hour
	maxRecordBytes = 64 << 20
)

// NegativePolicy decides which negative costs are accepted of a tenant.
type NegativePolicy string

// The policies.
const (
	// RejectNegative quarantines every negative cost.
	RejectNegative NegativePolicy = "reject"
	// LabelledNegative accepts a negative cost whose charge category is Credit or Adjustment.
	LabelledNegative NegativePolicy = "labelled"
	// AllowNegative accepts every negative cost.
	AllowNegative NegativePolicy = "allow"
)

// Valid reports whether p is one of the policies.
func (p NegativePolicy) Valid() bool {
	return p == RejectNegative || p == LabelledNegative || p == AllowNegative
}

// Rules is everything that decides verdicts on records. Rules are part of a state's identity, because with other
// rules the same log gives other numbers.
type Rules struct {
	// DefaultNegative applies to every tenant that Negative does not name.
	DefaultNegative NegativePolicy              `json:"default_negative"`
	Negative        map[TenantID]NegativePolicy `json:"negative,omitempty"`
	// Bindings binds a topic, by name, to one tenant.
	Bindings map[string]TenantID `json:"bindings,omitempty"`
	// MaxUsageAhead bounds how long after the record's timestamp usage_date may be.
	MaxUsageAhead time.Duration `json:"max_usage_ahead_ns"`
	// MaxIngestedAhead bounds how long after the record's timestamp ingested_at may be.
	MaxIngestedAhead time.Duration `json:"max_ingested_ahead_ns"`
	// MaxRecordBytes bounds the length of a record's value.
	MaxRecordBytes int `json:"max_record_bytes"`
}

// NegativeFor returns the policy for one tenant.
func (r Rules) NegativeFor(t TenantID) NegativePolicy {
	if p, ok := r.Negative[t]; ok {
		return p
	}
	return r.DefaultNegative
}

// Validate returns an error that names every fault of the rules.
func (r Rules) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	const policies = "reject, labelled or allow"
	if !r.DefaultNegative.Valid() {
		fault("negative cost policy %q: must be %s", r.DefaultNegative, policies)
	}
	for _, t := range slices.Sorted(maps.Keys(r.Negative)) {
		if !t.Valid() {
			fault("negative cost policy for tenant %q: %s", t, tenantRule)
		}
		if !r.Negative[t].Valid() {
			fault("negative cost policy %q for tenant %q: must be %s", r.Negative[t], t, policies)
		}
	}
	for _, topic := range slices.Sorted(maps.Keys(r.Bindings)) {
		if topic == "" {
			fault("a binding names no topic")
		}
		if t := r.Bindings[topic]; !t.Valid() {
			fault("binding of topic %q to tenant %q: %s", topic, t, tenantRule)
		}
	}
	if r.MaxUsageAhead < 0 || r.MaxUsageAhead > maxAhead {
		fault("bound of usage_date ahead %s: must be 0 to %s", r.MaxUsageAhead, maxAhead)
	}
	if r.MaxIngestedAhead < 0 || r.MaxIngestedAhead > maxAhead {
		fault("bound of ingested_at ahead %s: must be 0 to %s", r.MaxIngestedAhead, maxAhead)
	}
	if r.MaxRecordBytes < 1 || r.MaxRecordBytes > maxRecordBytes {
		fault("record size limit %d: must be 1 to %d bytes", r.MaxRecordBytes, maxRecordBytes)
	}
	return errors.Join(faults...)
}

// Digest returns a digest that is the same for equal rules.
func (r Rules) Digest() Digest {
	text, err := json.Marshal(r) // map keys ascend, so equal rules have equal text
	if err != nil {
		panic(err) // strings, integers and maps of strings always marshal
	}
	sum := sha256.Sum256(text)
	return Digest(sum[:len(Digest{})])
}

// DefaultRules returns the rules of a state that was created without flags: negative costs are rejected,
// usage_date is at most 7 days and ingested_at at most 24 h after the record's timestamp, and values have at
// most 1 MiB.
func DefaultRules() Rules {
	return Rules{
		DefaultNegative:  RejectNegative,
		MaxUsageAhead:    7 * 24 * time.Hour,
		MaxIngestedAhead: 24 * time.Hour,
		MaxRecordBytes:   1 << 20,
	}
}
