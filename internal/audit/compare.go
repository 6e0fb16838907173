package audit

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"time"

	"daybook/internal/billing"
	"daybook/internal/lake"
)

// Difference is one cell, or one row, in which the release differs from the log.
type Difference struct {
	Dataset  string `json:"dataset"` // or manifest
	Day      string `json:"usage_date"`
	Account  string `json:"account_id,omitempty"`
	Service  string `json:"service_name,omitempty"`
	Event    string `json:"event_id,omitempty"`
	What     string `json:"what"`             // differs, missing (from the release), extra (not in the log)
	Column   string `json:"column,omitempty"` // empty: the whole row
	Audited  string `json:"audited,omitempty"`
	Released string `json:"released,omitempty"`
}

// Values of Difference.What.
const (
	differs = "differs"
	missing = "missing"
	extra   = "extra"
)

// tally is a sum and a count.
type tally struct {
	units  *big.Int
	events int64
}

func newTally() *tally { return &tally{units: new(big.Int)} }

func (t *tally) add(e *event) {
	t.units.Add(t.units, e.cost)
	t.events++
}

func (t *tally) String() string { return fmt.Sprintf("%s of %d events", dollars(t.units), t.events) }

// comparison compares a release with the log.
type comparison struct {
	series *lake.Series
	m      *lake.Manifest
	cfg    *Config
	topics map[billing.TopicOrdinal]string
	total  *big.Int
	report Report
}

func newComparison(s *lake.Series, m *lake.Manifest, cfg *Config) *comparison {
	c := &comparison{series: s, m: m, cfg: cfg, total: new(big.Int), topics: map[billing.TopicOrdinal]string{}}
	c.report = Report{Tenant: m.Tenant, Release: m.Release, AsOf: m.AsOf, Differences: []Difference{}}
	for _, a := range cfg.Explain {
		c.report.Explained = append(c.report.Explained, Explanation{AccountDay: a, Total: "0", Events: []ExplainedEvent{}})
	}
	for _, t := range m.Topics {
		c.topics[t.Ordinal] = t.Name
	}
	return c
}

// finish completes the report.
func (c *comparison) finish() *Report {
	c.report.Total = dollars(c.total)
	return &c.report
}

// differ records a difference.
func (c *comparison) differ(d Difference) {
	c.report.Differing++
	if c.cfg.Limit == 0 || len(c.report.Differences) < c.cfg.Limit {
		c.report.Differences = append(c.report.Differences, d)
	}
}

// cell compares one cell of a row that both sides have.
func (c *comparison) cell(row Difference, column, audited, released string) {
	if audited != released {
		row.What, row.Column, row.Audited, row.Released = differs, column, audited, released
		c.differ(row)
	}
}

// row records a row that one side does not have.
func (c *comparison) row(row Difference, what, says string) {
	if row.What = what; what == missing {
		row.Audited = says
	} else {
		row.Released = says
	}
	c.differ(row)
}

// compare compares the days of the log and of the release in order. Each event is in one account-day of the log, so an
// event that is in two account-days of the release, or in none, is a difference.
func (c *comparison) compare(ctx context.Context, b *basis, winners *postings, progress func(string, int64, int64)) error {
	in := walk(winners.entries())
	defer in.stop()
	if err := in.advance(); err != nil {
		return err
	}
	entries := map[string]*lake.DayEntry{}
	for i := range c.m.Days {
		if d := &c.m.Days[i]; b.covers(d.Day.String()) {
			entries[d.Day.String()] = d
		}
	}
	days := slices.Sorted(maps.Keys(entries))
	for done := int64(0); len(days) > 0 || in.more; done++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		var day string
		if in.more && (len(days) == 0 || in.head.day < days[0]) {
			day = in.head.day
		} else {
			day, days = days[0], days[1:]
		}
		if err := c.day(day, entries[day], b.complete(day), in); err != nil {
			return fmt.Errorf("%s: %w", day, err)
		}
		progress("days", done+1, done+1+int64(len(days)))
	}
	return nil
}

// dayOf converts a day to the type of lake.
func dayOf(day string) (billing.Day, error) {
	t, err := time.Parse(time.DateOnly, day)
	return billing.Day(t.Unix() / (24 * 60 * 60)), err
}

// dayAudit is the comparison of one day.
type dayAudit struct {
	*comparison
	day      string
	complete bool // unless a record is withheld
	in       *cursor[entry]

	expected []string // expected accounts, ascending
	rows     []lake.AccountDayRow
	services []lake.ServiceDayRow
	events   *cursor[*lake.EventRow]

	total       *tally
	accountDays int64
	digest      *big.Int
}

// day compares a day. manifest is nil if the release does not list the day.
func (c *comparison) day(day string, manifest *lake.DayEntry, complete bool, in *cursor[entry]) error {
	d := &dayAudit{comparison: c, day: day, complete: complete, in: in, total: newTally(), digest: new(big.Int)}
	defer func() {
		if d.events != nil {
			d.events.stop()
		}
	}()
	if err := d.open(manifest != nil); err != nil {
		return err
	}
	for {
		account, ok := d.next()
		if !ok {
			break
		}
		if err := d.account(account); err != nil {
			return err
		}
	}
	c.report.Days++
	c.report.Events += d.total.events
	c.report.AccountDays += d.accountDays
	c.total.Add(c.total, d.total.units)
	if manifest != nil {
		row := Difference{Dataset: "manifest", Day: day}
		c.cell(row, "account_days", strconv.FormatInt(d.accountDays, 10), strconv.FormatInt(manifest.AccountDays, 10))
		c.cell(row, "events", strconv.FormatInt(d.total.events, 10), strconv.FormatInt(manifest.Events, 10))
		c.cell(row, "total_usd", dollars(d.total.units), manifest.Total.String())
		c.cell(row, "digest", hexDigest(d.digest), cmp.Or(manifest.Digest, hexDigest(new(big.Int))))
	}
	return nil
}

// open reads the day of the release.
func (d *dayAudit) open(released bool) error {
	if !released {
		d.events = walk(func(func(*lake.EventRow, error) bool) {})
		return d.events.advance()
	}
	day, err := dayOf(d.day)
	if err != nil {
		return err
	}
	for _, e := range d.m.Expected {
		if e.From <= day && (e.To == 0 || day <= e.To) {
			d.expected = append(d.expected, string(e.Account))
		}
	}
	slices.Sort(d.expected)
	if d.rows, err = d.series.ReadAccountDays(d.m, day); err != nil {
		return err
	}
	if d.services, err = d.series.ReadServiceDays(d.m, day); err != nil {
		return err
	}
	d.events = walk(func(yield func(*lake.EventRow, error) bool) {
		for _, f := range d.m.EventFiles(day) {
			for row, err := range d.series.ReadVerifiedEvents(d.m, f) {
				if !yield(row, err) || err != nil {
					return
				}
			}
		}
	})
	return d.events.advance()
}

// next is the smallest remaining account of both sides.
func (d *dayAudit) next() (account string, ok bool) {
	least := func(a string) {
		if !ok || a < account {
			account, ok = a, true
		}
	}
	if d.in.more && d.in.head.day == d.day {
		least(d.in.head.account)
	}
	if len(d.expected) > 0 {
		least(d.expected[0])
	}
	if len(d.rows) > 0 {
		least(string(d.rows[0].Account))
	}
	if len(d.services) > 0 {
		least(string(d.services[0].Account))
	}
	if d.events.more {
		least(string(d.events.head.Event.Account))
	}
	return account, ok
}

// account compares one account-day: its events one by one, then its totals.
func (d *dayAudit) account(account string) error {
	sum, withheld := newTally(), int64(0)
	services := map[string]*tally{}
	x := d.explanation(account)
	for d.in.more && d.in.head.day == d.day && d.in.head.account == account {
		e := d.in.head
		if x != nil {
			d.explain(x, e)
		}
		if e.withheld {
			withheld++
		} else {
			sum.add(e.event)
			if services[e.service] == nil {
				services[e.service] = newTally()
			}
			services[e.service].add(e.event)
			d.digest.Add(d.digest, e.digest(string(d.m.Tenant)))
			if err := d.event(account, e.event); err != nil {
				return err
			}
		}
		if err := d.in.advance(); err != nil {
			return err
		}
	}
	if err := d.extraEvents(account, nil); err != nil {
		return err
	}
	expected := len(d.expected) > 0 && d.expected[0] == account
	if expected {
		d.expected = d.expected[1:]
	}
	silent := expected && sum.events == 0 && withheld == 0
	complete := d.complete && withheld == 0 && !silent
	if x != nil {
		x.Total, x.Complete = dollars(sum.units), complete
	}
	d.report.Withheld += withheld
	d.accountDay(account, sum, sum.events > 0 || withheld > 0 || silent, complete)
	d.serviceDays(account, services)
	d.total.units.Add(d.total.units, sum.units)
	d.total.events += sum.events
	return nil
}

// event compares a winner with the release.
func (d *dayAudit) event(account string, e *event) error {
	if err := d.extraEvents(account, &e.id); err != nil {
		return err
	}
	row := Difference{Dataset: string(lake.Events), Day: d.day, Account: account, Event: e.id}
	if !d.events.more || string(d.events.head.Event.Account) != account || string(d.events.head.Event.ID) != e.id {
		d.row(row, missing, dollars(e.cost))
		return nil
	}
	r := &d.events.head.Event
	d.cell(row, "tenant_id", string(d.m.Tenant), string(r.Tenant))
	d.cell(row, "service_name", e.service, string(r.Service))
	d.cell(row, "region", e.region, string(r.Region))
	d.cell(row, "pricing_model", e.pricing, string(r.PricingModel))
	d.cell(row, "charge_category", e.category, string(r.Category))
	d.cell(row, "billing_period", e.period, string(r.Period))
	d.cell(row, "cost_usd", dollars(e.cost), r.Cost.String())
	d.cell(row, "attributes", e.attributes, r.Attributes)
	return d.events.advance()
}

// extraEvents records the released events of the account before an id, or all remaining ones.
func (d *dayAudit) extraEvents(account string, before *string) error {
	for d.events.more {
		r := &d.events.head.Event
		if string(r.Account) != account || before != nil && string(r.ID) >= *before {
			return nil
		}
		d.row(Difference{Dataset: string(lake.Events), Day: d.day, Account: account, Event: string(r.ID)}, extra, r.Cost.String())
		if err := d.events.advance(); err != nil {
			return err
		}
	}
	return nil
}

// accountDay compares the row of daily_account_cost.
func (d *dayAudit) accountDay(account string, sum *tally, present, complete bool) {
	row := Difference{Dataset: string(lake.AccountDays), Day: d.day, Account: account}
	if present {
		d.accountDays++
	}
	if len(d.rows) == 0 || string(d.rows[0].Account) != account {
		if present {
			d.row(row, missing, sum.String())
		}
		return
	}
	r := &d.rows[0]
	d.rows = d.rows[1:]
	if !present {
		d.row(row, extra, fmt.Sprintf("%s of %d events", r.Total, r.Events))
		return
	}
	d.cell(row, "tenant_id", string(d.m.Tenant), string(r.Tenant))
	d.cell(row, "total_cost_usd", dollars(sum.units), r.Total.String())
	d.cell(row, "event_count", strconv.FormatInt(sum.events, 10), strconv.FormatInt(r.Events, 10))
	d.cell(row, "data_complete", strconv.FormatBool(complete), strconv.FormatBool(r.Complete))
}

// serviceDays compares the account's rows of account_service_day_cost.
func (d *dayAudit) serviceDays(account string, services map[string]*tally) {
	d.report.ServiceDays += int64(len(services))
	for len(d.services) > 0 && string(d.services[0].Account) == account {
		r := &d.services[0]
		d.services = d.services[1:]
		row := Difference{Dataset: string(lake.ServiceDays), Day: d.day, Account: account, Service: string(r.Service)}
		sum, ok := services[string(r.Service)]
		if !ok {
			d.row(row, extra, fmt.Sprintf("%s of %d events", r.Total, r.Events))
			continue
		}
		delete(services, string(r.Service))
		d.cell(row, "tenant_id", string(d.m.Tenant), string(r.Tenant))
		d.cell(row, "total_cost_usd", dollars(sum.units), r.Total.String())
		d.cell(row, "event_count", strconv.FormatInt(sum.events, 10), strconv.FormatInt(r.Events, 10))
	}
	for _, s := range slices.Sorted(maps.Keys(services)) {
		d.row(Difference{Dataset: string(lake.ServiceDays), Day: d.day, Account: account, Service: s}, missing, services[s].String())
	}
}
