package oracle

import (
	"bytes"
	"encoding/json"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"daybook/internal/billing"
)

const maxDepth = 64

var (
	tenantShape = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$`)
	dayShape    = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
	monthShape  = regexp.MustCompile(`^[0-9]{4}-(0[1-9]|1[0-2])$`)
	// zoned is RFC 3339: with seconds, and with Z or an offset.
	zoned = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$`)
)

// modelled are the members that an event's columns are made of.
var modelled = map[string]bool{
	"event_id": true, "account_id": true, "service_name": true, "usage_date": true, "usage_start": true,
	"cost_usd": true, "ingested_at": true, "ingestion_date": true, "source_revision": true, "region": true,
	"pricing_model": true, "tenant_id": true, "charge_category": true, "billing_period": true, "currency": true,
	"op": true,
}

// judge reads one record: an event, or why it is none.
func (m *Model) judge(r Record) (*Event, *Rejected) {
	no := &Rejected{From: r, IngestedAt: r.Timestamp * int64(time.Millisecond)}
	reject := func(why string) (*Event, *Rejected) {
		if no.Why == "" {
			no.Why = why
		}
		return nil, no
	}
	switch {
	case r.Null:
		return reject("no value")
	case r.Timestamp < 0:
		// Neither bound on the event's own clocks could be checked.
		no.IngestedAt = 0
		return reject("no record timestamp")
	case m.rules.MaxRecordBytes > 0 && len(r.Value) > m.rules.MaxRecordBytes:
		return reject("too large")
	}
	members, why := object(r.Value)
	if why != "" {
		no.Malformed = true
		return reject(why)
	}

	// Every member is read before any verdict, so that a rejected record
	// keeps what can be read of it.
	var faults []string
	fault := func(why string) { faults = append(faults, why) }
	e := &Event{From: r, Attributes: map[string]string{}}
	for name, text := range members {
		if !modelled[name] {
			e.Attributes[name] = string(text)
		}
	}

	tenant, ok := m.tenant(r.Topic, members)
	if !ok {
		fault("tenant")
	}
	e.Key.Tenant, no.Tenant = billing.TenantID(tenant), tenant

	if id, ok := text(members["event_id"]); ok && named(id) && !strings.ContainsFunc(id, unicode.IsControl) {
		e.Key.ID, no.ID = billing.EventID(id), id
	} else {
		fault("event id")
	}

	if at, ok := m.ingestedAt(r, members); ok {
		e.IngestedAt, no.IngestedAt = at, at
	} else {
		fault("ingested at")
	}

	if raw, there := present(members, "source_revision"); there {
		n, whole := integer(string(raw))
		if !whole {
			fault("source revision")
		}
		e.Revision, no.Revision = n, n
	}

	if raw, there := present(members, "op"); there {
		switch op, _ := text(raw); op {
		case "upsert":
		case "delete":
			e.Deleted = true
		default:
			fault("op")
		}
	}
	if e.Deleted {
		if len(faults) > 0 {
			return reject(strings.Join(faults, ", "))
		}
		return e, nil
	}

	if account, ok := text(members["account_id"]); ok && named(account) {
		e.Account, no.Account = account, account
	} else {
		fault("account")
	}
	if service, ok := text(members["service_name"]); ok && named(service) {
		e.Service = service
	} else {
		fault("service")
	}
	if day, ok := usageDay(members); ok {
		e.Day, no.Day = day, day
		if m.tooFarAhead(day, r.Timestamp) {
			fault("usage in the future")
		}
	} else {
		fault("day")
	}

	if raw, there := present(members, "charge_category"); there {
		category, _ := text(raw)
		switch category {
		case "Usage", "Purchase", "Tax", "Credit", "Adjustment":
			e.Category = category
		default:
			fault("charge category")
		}
	}
	if raw, there := present(members, "billing_period"); there {
		period, _ := text(raw)
		if !monthShape.MatchString(period) {
			fault("billing period")
		}
		e.Period = period
	}
	if raw, there := present(members, "currency"); there {
		if currency, _ := text(raw); currency != "USD" {
			fault("currency")
		}
	}
	optional := func(name string) string {
		raw, there := present(members, name)
		if !there {
			return ""
		}
		s, ok := text(raw)
		if !ok || len(s) > 256 {
			fault(name)
		}
		return s
	}
	e.Region, e.PricingModel = optional("region"), optional("pricing_model")

	cost := string(members["cost_usd"])
	if s, ok := text(members["cost_usd"]); ok {
		cost = s
	}
	usd, rounded, ok := dollars(cost)
	switch {
	case !ok:
		fault("cost")
	case usd.Sign() < 0 && !m.negative(tenant, e.Category):
		fault("negative cost")
	}
	e.Cost, e.Rounded = usd, rounded

	if len(faults) > 0 {
		return reject(strings.Join(faults, ", "))
	}
	return e, nil
}

// tenant is the record's tenant, and whether it may come from this topic.
func (m *Model) tenant(topic billing.TopicOrdinal, members map[string]json.RawMessage) (string, bool) {
	bound := ""
	if int(topic) < len(m.topics) {
		bound = string(m.rules.Bindings[m.topics[topic]])
	}
	raw, there := present(members, "tenant_id")
	if !there {
		if bound != "" {
			return bound, true
		}
		return "default", true
	}
	tenant, ok := text(raw)
	if !ok || !tenantShape.MatchString(tenant) {
		return "", false
	}
	if bound != "" && tenant != bound {
		return "", false
	}
	return tenant, true
}

// ingestedAt is what the record says of when it was ingested, in nanoseconds.
func (m *Model) ingestedAt(r Record, members map[string]json.RawMessage) (int64, bool) {
	first, hasFirst := present(members, "ingested_at")
	second, hasSecond := present(members, "ingestion_date")
	if !hasFirst && !hasSecond {
		return r.Timestamp * int64(time.Millisecond), true
	}
	var given []string
	for _, one := range []struct {
		raw   json.RawMessage
		there bool
	}{{first, hasFirst}, {second, hasSecond}} {
		if one.there {
			s, ok := text(one.raw)
			if !ok {
				return 0, false
			}
			given = append(given, s)
		}
	}
	// Of a date and a time on that date, the time is meant.
	sort.SliceStable(given, func(i, j int) bool { return !dayShape.MatchString(given[i]) && dayShape.MatchString(given[j]) })
	t, ok := moment(given[0])
	if !ok || t.Year() < 1970 || t.Year() > 2261 {
		return 0, false
	}
	if len(given) == 2 {
		u, ok := moment(given[1])
		sameDay := dayShape.MatchString(given[1]) && t.Format("2006-01-02") == given[1]
		if !ok || !u.Equal(t) && !sameDay {
			return 0, false
		}
	}
	if t.After(time.UnixMilli(r.Timestamp).Add(m.rules.MaxIngestedAhead)) {
		return 0, false
	}
	return t.UnixNano(), true
}

func (m *Model) tooFarAhead(day string, millis int64) bool {
	start, _ := time.Parse("2006-01-02", day)
	return start.After(time.UnixMilli(millis).Add(m.rules.MaxUsageAhead))
}

func (m *Model) negative(tenant, category string) bool {
	policy, ok := m.rules.Negative[billing.TenantID(tenant)]
	if !ok {
		policy = m.rules.DefaultNegative
	}
	switch policy {
	case "allow":
		return true
	case "labelled":
		return category == "Credit" || category == "Adjustment"
	}
	return false
}

// usageDay is the UTC day that a record names, once or twice.
func usageDay(members map[string]json.RawMessage) (string, bool) {
	date, hasDate := present(members, "usage_date")
	start, hasStart := present(members, "usage_start")
	var days []string
	for _, given := range []struct {
		raw   json.RawMessage
		there bool
	}{{date, hasDate}, {start, hasStart}} {
		if !given.there {
			continue
		}
		s, ok := text(given.raw)
		t, fine := moment(s)
		if !ok || !fine || t.Year() < 1 || t.Year() > 9999 {
			return "", false
		}
		days = append(days, t.Format("2006-01-02"))
	}
	if len(days) == 0 || days[0] != days[len(days)-1] {
		return "", false
	}
	return days[0], true
}

// moment reads a date, as its 00:00 UTC, or RFC 3339.
func moment(s string) (time.Time, bool) {
	if dayShape.MatchString(s) {
		t, err := time.Parse("2006-01-02", s)
		return t, err == nil
	}
	if !zoned.MatchString(s) {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, strings.ToUpper(s))
	return t.UTC(), err == nil
}

// object reads the members of a JSON object, or says why it is none.
func object(value []byte) (map[string]json.RawMessage, string) {
	if !utf8.Valid(value) {
		return nil, "not UTF-8"
	}
	if loneSurrogate(value) {
		return nil, "half a surrogate pair"
	}
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	if why := walk(d, 0); why != "" {
		return nil, why
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(value, &members) != nil || members == nil {
		return nil, "not an object, or something after it"
	}
	return members, ""
}

// walk reads one value and finds repeated keys and deep nesting.
func walk(d *json.Decoder, depth int) string {
	t, err := d.Token()
	if err != nil {
		return "not JSON"
	}
	open, ok := t.(json.Delim)
	if !ok {
		return ""
	}
	if depth++; depth > maxDepth {
		return "nested too deep"
	}
	keys := map[string]bool{}
	for d.More() {
		if open == '{' {
			k, err := d.Token()
			if err != nil {
				return "not JSON"
			}
			key, _ := k.(string)
			if keys[key] {
				return "repeated key"
			}
			keys[key] = true
		}
		if why := walk(d, depth); why != "" {
			return why
		}
	}
	if _, err := d.Token(); err != nil {
		return "not JSON"
	}
	return ""
}

// loneSurrogate finds \uD800–\uDFFF escapes that are not a pair: encoding/json
// would put U+FFFD in their place in silence.
func loneSurrogate(value []byte) bool {
	unit := func(i int) (uint64, bool) {
		if i+6 > len(value) || value[i] != '\\' || value[i+1] != 'u' {
			return 0, false
		}
		n, err := strconv.ParseUint(string(value[i+2:i+6]), 16, 16)
		return n, err == nil
	}
	for i := 0; i < len(value); i++ {
		if value[i] != '\\' {
			continue
		}
		high, ok := unit(i)
		switch {
		case !ok:
			i++ // an escape of one character; a bad one is not JSON anyway
		case high >= 0xD800 && high < 0xDC00:
			low, ok := unit(i + 6)
			if !ok || low < 0xDC00 || low > 0xDFFF {
				return true
			}
			i += 11
		case high >= 0xDC00 && high <= 0xDFFF:
			return true
		default:
			i += 5
		}
	}
	return false
}

// present is a member that is there and not null.
func present(members map[string]json.RawMessage, name string) (json.RawMessage, bool) {
	raw, ok := members[name]
	return raw, ok && string(raw) != "null"
}

func text(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}

func named(s string) bool { return len(s) >= 1 && len(s) <= 256 }
