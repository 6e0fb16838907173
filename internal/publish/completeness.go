package publish

import (
	"fmt"
	"slices"

	"daybook/internal/billing"
	"daybook/internal/inspect"
	"daybook/internal/lake"
	"daybook/internal/state"
)

// dayReasons says why no account-day of a day is complete; none when they may be.
func (in *input) dayReasons(t billing.TenantID, d billing.Day, cutoff TimeOfDay) []string {
	var reasons []string
	if gapTouches(in.decisions, t, d) {
		reasons = append(reasons, inspect.ReasonGapAccepted)
	}
	if !in.readUpTo(t, cutoff.Of(d)) {
		reasons = append(reasons, inspect.ReasonInputBehind)
	}
	return reasons
}

// gapTouches reports whether an accepted gap may have held events of the day.
func gapTouches(decisions []state.Decision, t billing.TenantID, d billing.Day) bool {
	return slices.ContainsFunc(decisions, func(dec state.Decision) bool {
		return dec.Kind == state.GapAccepted && touches(&dec, t, d)
	})
}

// emptyDayAllowed reports whether an operator settled that a day has no events.
func emptyDayAllowed(decisions []state.Decision, t billing.TenantID, d billing.Day) bool {
	return slices.ContainsFunc(decisions, func(dec state.Decision) bool {
		return dec.Kind == state.EmptyDayAllowed && touches(&dec, t, d)
	})
}

// touches reports whether a decision is about a tenant's day. A decision
// without a tenant or without a bound holds for all.
func touches(dec *state.Decision, t billing.TenantID, d billing.Day) bool {
	day := d.String() // YYYY-MM-DD sorts as text
	return (dec.Tenant == "" || dec.Tenant == t) &&
		(dec.FromDay == "" || dec.FromDay <= day) &&
		(dec.ToDay == "" || day <= dec.ToDay)
}

// withheld is what quarantine holds back: per day and account the reasons, sorted.
type withheld map[billing.Day]map[billing.AccountID][]string

// readWithheld reads the open quarantined records that name an account-day.
func readWithheld(r *state.Reader, t billing.TenantID) (withheld, error) {
	w := withheld{}
	for q, err := range r.Withheld(t) {
		if err != nil {
			return nil, fmt.Errorf("read quarantine: %w", err)
		}
		day := w[q.Rejection.Day]
		if day == nil {
			day = map[billing.AccountID][]string{}
			w[q.Rejection.Day] = day
		}
		reason := inspect.ReasonQuarantine(q.Rejection.Reason)
		if at, found := slices.BinarySearch(day[q.Rejection.Account], reason); !found {
			day[q.Rejection.Account] = slices.Insert(day[q.Rejection.Account], at, reason)
		}
	}
	return w, nil
}

// countQuarantine counts the open quarantined records by what a manifest says
// of them. A record without a readable tenant may be any tenant's: it stands
// under the empty one.
func countQuarantine(in *input) (map[billing.TenantID][]lake.QuarantineCount, error) {
	type key struct {
		tenant             billing.TenantID
		reason, topic, day string
		names              bool
	}
	counts := map[key]*lake.QuarantineCount{}
	for q, err := range in.reader.Quarantine(false) {
		if err != nil {
			return nil, fmt.Errorf("count quarantine: %w", err)
		}
		if q.Status != state.QuarantineOpen {
			continue
		}
		rej := &q.Rejection
		k := key{
			tenant: rej.Tenant, reason: string(rej.Reason), topic: in.topics[q.Source.Topic].Name,
			day:   billing.DayOf(q.ArrivedAt).String(),
			names: rej.Tenant != "" && rej.Account != "" && rej.HasDay,
		}
		c := counts[k]
		if c == nil {
			c = &lake.QuarantineCount{Reason: k.reason, Topic: k.topic, ArrivalDay: k.day, NamesDay: k.names}
			counts[k] = c
		}
		c.Records++
		if rej.HasCost {
			// Readable money is information: where it overflows, the count stands alone.
			if sum, ok := c.Readable.Add(rej.Cost); ok {
				c.Readable = sum
			}
		}
	}
	byTenant := map[billing.TenantID][]lake.QuarantineCount{}
	for k, c := range counts {
		byTenant[k.tenant] = append(byTenant[k.tenant], *c)
	}
	for _, list := range byTenant {
		slices.SortFunc(list, compareQuarantine)
	}
	return byTenant, nil
}
