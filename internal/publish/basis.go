package publish

import (
	"daybook/internal/billing"
	"daybook/internal/lake"
	"daybook/internal/state"
)

// basis writes into the manifest what the numbers depend on besides the records: the topics, the rules for this
// tenant, and the decisions that concern it. Together with the input positions an audit needs nothing else. It
// names no other tenant.
func (in *input) basis(m *lake.Manifest) {
	rules := in.identity.Rules
	m.Rules = &billing.Rules{
		DefaultNegative: rules.NegativeFor(m.Tenant),
		MaxUsageAhead:   rules.MaxUsageAhead, MaxIngestedAhead: rules.MaxIngestedAhead, MaxRecordBytes: rules.MaxRecordBytes,
	}
	for _, t := range in.identity.Topics {
		bound := rules.Bindings[t.Name]
		if bound == m.Tenant {
			if m.Rules.Bindings == nil {
				m.Rules.Bindings = map[string]billing.TenantID{}
			}
			m.Rules.Bindings[t.Name] = bound
		}
		m.Topics = append(m.Topics, lake.Topic{Name: t.Name, ID: t.ID, Ordinal: t.Ordinal, Elsewhere: bound != "" && bound != m.Tenant})
	}
	for i := range in.decisions {
		if d := &in.decisions[i]; d.Tenant == "" || d.Tenant == m.Tenant {
			m.Decisions = append(m.Decisions, in.decision(d))
		}
	}
}

// decision converts a decision to its form in a manifest.
func (in *input) decision(d *state.Decision) lake.Decision {
	out := lake.Decision{Number: d.Number, Kind: string(d.Kind), Who: d.Who, When: d.When.UTC(), Why: d.Why, FromDay: d.FromDay, ToDay: d.ToDay}
	switch d.Kind {
	case state.GapAccepted:
		out.Gap = &lake.Gap{Topic: in.topics[d.Topic].Name, Partition: d.Partition, FromOffset: d.From, NextOffset: d.Next}
	case state.QuarantineSettled:
		for _, r := range d.Records {
			topic, last := in.topics[r.Topic].Name, len(out.Settled)-1
			if last < 0 || out.Settled[last].Topic != topic || out.Settled[last].Partition != r.Partition {
				out.Settled = append(out.Settled, lake.Offsets{Topic: topic, Partition: r.Partition})
				last++
			}
			out.Settled[last].Offsets = append(out.Settled[last].Offsets, r.Offset)
		}
	}
	return out
}
