package audit

import (
	"maps"
	"math/big"
	"regexp"
	"slices"
	"time"
	"unicode"

	"daybook/internal/billing"
)

var (
	tenantShape = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$`)
	monthShape  = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}$`)
	categories  = []string{"Usage", "Purchase", "Tax", "Credit", "Adjustment"}
)

// modelled are the members that become columns of an event.
var modelled = []string{
	"event_id", "account_id", "service_name", "usage_date", "usage_start", "cost_usd", "ingested_at", "ingestion_date", "source_revision",
	"region", "pricing_model", "tenant_id", "charge_category", "billing_period", "currency", "op",
}

// Record is one record of the log.
type Record struct {
	Source billing.Source
	Null   bool // a tombstone
	Value  []byte
}

// event is one version of an event, or the parsed part of a rejected record.
type event struct {
	fault   string // the reason of a rejected record; empty for an event
	tenant  string // empty if the record names no valid tenant
	id      string
	account string
	day     string // YYYY-MM-DD
	deleted bool

	service, region, pricing, category, period, attributes string

	cost       *big.Int // units of 10^-18 USD
	ingestedAt int64    // nanoseconds since 1970
	revision   int64
	source     billing.Source
}

// names reports whether a rejected record names an account-day.
func (e *event) names() bool { return e.tenant != "" && e.account != "" && e.day != "" }

// judge parses records under fixed rules.
type judge struct {
	rules billing.Rules
	bound map[billing.TopicOrdinal]string // the tenant that a topic is bound to
}

// reading is the state of judging one record.
type reading struct {
	*judge
	*event
	object
}

// judge parses one record. It parses every member whatever the faults of the others, because a rejected record still
// makes the account-day that it names incomplete.
func (j *judge) judge(r Record) *event {
	e := &event{source: r.Source}
	g := reading{judge: j, event: e}
	at := time.UnixMilli(r.Source.RecordTime).UTC()
	timed := inRange(at)
	if timed {
		e.ingestedAt = at.UnixNano()
	}
	switch {
	case r.Null:
		g.wrong("no value")
	case len(r.Value) > j.rules.MaxRecordBytes:
		g.wrong("too large")
	}
	if !r.Null {
		if g.object = readObject(r.Value); !g.sound {
			g.wrong("not a JSON object")
		}
	}
	if !timed {
		g.wrong("no record timestamp")
	}
	g.parseTenant()
	g.parseIdentity()
	g.parseVersion(at, timed)
	if e.deleted && e.fault == "" {
		return e
	}
	g.parseAccountDay(at, timed)
	g.parseCost()
	g.parseRest()
	return e
}

// wrong records the first fault.
func (g *reading) wrong(fault string) {
	if g.fault == "" {
		g.fault = fault
	}
}

// given returns the JSON text of a member; nil if it is absent, null or ambiguous.
func (g *reading) given(name string) []byte {
	m, ok := g.members[name]
	if !ok || m.twice || string(m.text) == "null" {
		return nil
	}
	return m.text
}

// text returns the text of a member. ok is false if the member exists and is not a string.
func (g *reading) text(name string) (s string, there, ok bool) {
	raw := g.given(name)
	if raw == nil {
		return "", false, true
	}
	if raw[0] != '"' {
		return "", true, false
	}
	s, ok = unquote(raw)
	return s, true, ok
}

// name returns a text with the length of an identifier.
func (g *reading) name(member string) (string, bool) {
	s, there, ok := g.text(member)
	if !there || !ok || s == "" || len(s) > 256 {
		return "", false
	}
	return s, true
}

// parseTenant parses the tenant.
func (g *reading) parseTenant() {
	bound := g.bound[g.source.Topic]
	s, there, ok := g.text("tenant_id")
	switch {
	case !there && bound != "":
		g.tenant = bound
	case !there && g.whole:
		g.tenant = "default"
	case !there: // the part that could not be parsed may have named a tenant
	case !ok || !tenantShape.MatchString(s):
		g.wrong("tenant_id")
	case bound != "" && s != bound:
		g.wrong("tenant_id of another tenant")
	default:
		g.tenant = s
	}
}

// parseIdentity parses the event id and the operation.
func (g *reading) parseIdentity() {
	id, ok := g.name("event_id")
	for _, r := range id {
		ok = ok && !unicode.IsControl(r)
	}
	if ok {
		g.id = id
	} else {
		g.wrong("event_id")
	}
	switch op, there, _ := g.text("op"); {
	case !there || op == "upsert":
	case op == "delete":
		g.deleted = true
	default:
		g.wrong("op")
	}
}

// moments parses two members that name the same time. ok is false if one exists and is not a time.
func (g *reading) moments(first, second string) (a, b *moment, ok bool) {
	read := func(name string) *moment {
		s, there, plain := g.text(name)
		if !there {
			return nil
		}
		m, fine := parseMoment(s)
		ok = ok && plain && fine
		return &m
	}
	ok = true
	return read(first), read(second), ok
}

// parseVersion parses the fields of the version order.
func (g *reading) parseVersion(at time.Time, timed bool) {
	a, b, ok := g.moments("ingested_at", "ingestion_date")
	m := a
	if a == nil || b != nil && a.date && !b.date { // of a date and a time, the time counts
		m = b
	}
	agree := a == nil || b == nil || a.Equal(b.Time) || (a.date || b.date) && a.day() == b.day()
	switch {
	case !ok || !agree:
		g.wrong("ingested_at")
	case m == nil:
	case timed && m.Sub(at) > g.rules.MaxIngestedAhead:
		g.wrong("ingested_at in the future")
	case timed:
		g.ingestedAt = m.UnixNano()
	}
	if raw := g.given("source_revision"); raw != nil {
		if n, ok := whole(string(raw)); ok {
			g.revision = n
		} else {
			g.wrong("source_revision")
		}
	}
}

// parseAccountDay parses the account-day and the service.
func (g *reading) parseAccountDay(at time.Time, timed bool) {
	var ok bool
	if g.account, ok = g.name("account_id"); !ok {
		g.wrong("account_id")
	}
	if g.service, ok = g.name("service_name"); !ok {
		g.wrong("service_name")
	}
	a, b, ok := g.moments("usage_date", "usage_start")
	if a == nil {
		a, b = b, nil
	}
	if !ok || a == nil || b != nil && a.day() != b.day() {
		g.wrong("usage_date")
		return
	}
	g.day = a.day()
	if timed && a.Truncate(24*time.Hour).Sub(at) > g.rules.MaxUsageAhead {
		g.wrong("usage_date in the future")
	}
}

// parseCost parses the cost.
func (g *reading) parseCost() {
	currency, there, _ := g.text("currency")
	if there && currency != "USD" {
		g.wrong("currency")
	}
	raw := g.given("cost_usd")
	number := string(raw)
	if raw != nil && raw[0] == '"' {
		var ok bool
		if number, ok = unquote(raw); !ok {
			number = ""
		}
	}
	var ok bool
	if g.cost, _, ok = amount(number); !ok {
		g.wrong("cost_usd")
		return
	}
	if category, _, _ := g.text("charge_category"); g.cost.Sign() < 0 {
		policy, named := g.rules.Negative[billing.TenantID(g.tenant)]
		if !named {
			policy = g.rules.DefaultNegative
		}
		if policy == "reject" || policy == "labelled" && category != "Credit" && category != "Adjustment" {
			g.wrong("negative cost")
		}
	}
}

// parseRest parses the members that no total depends on.
func (g *reading) parseRest() {
	optional := func(name string, valid func(string) bool) string {
		s, there, ok := g.text(name)
		if there && (!ok || !valid(s)) {
			g.wrong(name)
		}
		return s
	}
	short := func(s string) bool { return len(s) <= 256 }
	g.region, g.pricing = optional("region", short), optional("pricing_model", short)
	g.category = optional("charge_category", func(s string) bool { return slices.Contains(categories, s) })
	g.period = optional("billing_period", func(s string) bool {
		_, err := time.Parse("2006-01", s)
		return err == nil && monthShape.MatchString(s) && s >= "0001"
	})
	if g.fault != "" {
		return
	}
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(g.members)) {
		if slices.Contains(modelled, name) {
			continue
		}
		open := byte(',')
		if b == nil {
			open = '{'
		}
		b = append(append(quote(append(b, open), name), ':'), g.members[name].text...)
	}
	if b != nil {
		g.attributes = string(append(b, '}'))
	}
}
