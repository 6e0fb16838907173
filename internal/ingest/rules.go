package ingest

import (
	"errors"
	"fmt"
	"time"

	"daybook/internal/billing"
)

// RulesConfig has the rules as flags. An unset rule is that of billing.DefaultRules when a state is created, and
// that of the state afterwards.
type RulesConfig struct {
	NegativeCost       string            `help:"Policy on negative costs: reject, labelled (only Credit and Adjustment) or allow." env:"DAYBOOK_NEGATIVE_COST" placeholder:"POLICY" group:"Rules (fixed in the state)"`
	TenantNegativeCost map[string]string `help:"Policy on negative costs of single tenants." placeholder:"TENANT=POLICY" mapsep:"," group:"Rules (fixed in the state)"`
	BindTopic          map[string]string `help:"Bind a topic to one tenant; another tenant's event in it is rejected." placeholder:"TOPIC=TENANT" mapsep:"," group:"Rules (fixed in the state)"`
	MaxUsageAhead      time.Duration     `help:"Longest time that usage_date may be after the record's timestamp." env:"DAYBOOK_MAX_USAGE_AHEAD" placeholder:"DURATION" group:"Rules (fixed in the state)"`
	MaxIngestedAhead   time.Duration     `help:"Longest time that ingested_at may be after the record's timestamp." env:"DAYBOOK_MAX_INGESTED_AHEAD" placeholder:"DURATION" group:"Rules (fixed in the state)"`
	MaxRecordBytes     int               `help:"Largest record in bytes." env:"DAYBOOK_MAX_RECORD_BYTES" placeholder:"BYTES" group:"Rules (fixed in the state)"`
}

// Over returns base with the configured rules, validated.
func (c *RulesConfig) Over(base billing.Rules) (billing.Rules, error) {
	r := base
	if c.NegativeCost != "" {
		r.DefaultNegative = billing.NegativePolicy(c.NegativeCost)
	}
	if len(c.TenantNegativeCost) > 0 {
		r.Negative = make(map[billing.TenantID]billing.NegativePolicy, len(c.TenantNegativeCost))
		for tenant, policy := range c.TenantNegativeCost {
			r.Negative[billing.TenantID(tenant)] = billing.NegativePolicy(policy)
		}
	}
	if len(c.BindTopic) > 0 {
		r.Bindings = make(map[string]billing.TenantID, len(c.BindTopic))
		for topic, tenant := range c.BindTopic {
			r.Bindings[topic] = billing.TenantID(tenant)
		}
	}
	if c.MaxUsageAhead != 0 {
		r.MaxUsageAhead = c.MaxUsageAhead
	}
	if c.MaxIngestedAhead != 0 {
		r.MaxIngestedAhead = c.MaxIngestedAhead
	}
	if c.MaxRecordBytes != 0 {
		r.MaxRecordBytes = c.MaxRecordBytes
	}
	if err := r.Validate(); err != nil {
		return billing.Rules{}, fmt.Errorf("rules: %w", err)
	}
	return r, nil
}

// check refuses rules that differ from the state's.
func (c *RulesConfig) check(stored billing.Rules) error {
	asked, err := c.Over(stored)
	if err != nil {
		return err
	}
	if asked.Digest() == stored.Digest() {
		return nil
	}
	return &Stop{
		Partition: -1, Cause: ErrRulesChanged,
		Detail: "the flags, environment or file ask for other rules than the state was made with",
		Remedy: "take them back, or adopt looser ones by `ingest quarantine retry`, or any by `ingest rebuild`",
	}
}

// errNoTopic is returned by Init without a topic.
var errNoTopic = errors.New("name the topic: --topic")
