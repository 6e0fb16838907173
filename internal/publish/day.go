package publish

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"daybook/internal/billing"
	"daybook/internal/inspect"
	"daybook/internal/lake"
	"daybook/internal/rollup"
	"daybook/internal/state"
)

// dayResult is a due day of the new release.
type dayResult struct {
	day      billing.Day
	entry    lake.DayEntry
	links    []lake.File         // files of the previous release, reused
	linked   bool                // the whole day is as released
	kept     []billing.AccountID // of a computed day: account-days whose released rows are reused, ascending
	changes  []lake.ChangeRow
	computed int                 // account-days
	accounts []billing.AccountID // of a computed day, ascending
	// differ are account-days that did not change and were recomputed to other totals.
	differ []string
	faults faults
}

// dayBuilder computes and writes days. Different days may be built concurrently.
type dayBuilder struct {
	reader     *state.Reader
	series     *lake.Series
	build      *lake.Build
	prev       *lake.Manifest
	tenant     billing.TenantID
	asOf       time.Time
	head       uint64
	cutBy      int64
	negative   bool // negative totals are allowed
	topics     map[billing.TopicOrdinal]state.Topic
	attributes Attributes
	large      atomic.Bool // a day has more events than a file holds
}

// link reuses the released files of a day that did not change.
func (b *dayBuilder) link(w *dayPlan) *dayResult {
	r := &dayResult{day: w.day, entry: *w.prev, links: w.files.all(), linked: true}
	r.entry.CoveredSequence = b.head
	return r
}

// compute recomputes the account-days that the plan names and writes the files that change.
func (b *dayBuilder) compute(ctx context.Context, w *dayPlan) (*dayResult, error) {
	r := &dayResult{day: w.day}
	old, err := b.released(w)
	if err != nil {
		return nil, err
	}
	folds, file, whole, err := b.writeOnce(ctx, w)
	if err == nil && !whole {
		folds, err = foldDay(ctx, b.reader, b.tenant, w)
	}
	if err != nil {
		return nil, err
	}
	r.computed = len(folds)
	now, err := b.replaceRows(w, old, folds, r)
	if err != nil {
		return nil, err
	}
	if len(now.rows) > 0 || w.prev != nil {
		if err := b.writeTotals(w, old, now, r); err != nil {
			return nil, err
		}
		facts := newEventFacts()
		if whole {
			err = facts.add(&file)
		} else {
			facts, err = b.writeEvents(ctx, w, now, folds, r)
		}
		if err != nil {
			return nil, err
		}
		r.entry.Digest = hexDigest(facts.digest)
		r.entry.Regions, r.entry.Pricing = sortedKeys(facts.regions), sortedKeys(facts.pricing)
	}
	b.describe(w, now, r)
	return r, nil
}

// dayRows are the rows of a day's two totals datasets.
type dayRows struct {
	rows     []lake.AccountDayRow
	services []lake.ServiceDayRow
}

// released reads a day's rows from the previous release.
func (b *dayBuilder) released(w *dayPlan) (dayRows, error) {
	if w.prev == nil || len(w.files) == 0 {
		return dayRows{}, nil
	}
	rows, err := b.series.ReadAccountDays(b.prev, w.day)
	if err != nil {
		return dayRows{}, fmt.Errorf("read released account-days of %s: %w", w.day, err)
	}
	services, err := b.series.ReadServiceDays(b.prev, w.day)
	if err != nil {
		return dayRows{}, fmt.Errorf("read released service-days of %s: %w", w.day, err)
	}
	return dayRows{rows, services}, nil
}

// replaceRows replaces the released account-days by the recomputed ones and appends the differences to the ledger in r.
func (b *dayBuilder) replaceRows(w *dayPlan, old dayRows, folds []accountTotals, r *dayResult) (now dayRows, err error) {
	fresh := make(map[billing.AccountID]*rollup.Totals, len(folds))
	released := make(map[billing.AccountID]*lake.AccountDayRow, len(old.rows))
	accounts := make([]billing.AccountID, 0, max(len(folds), len(old.rows))+len(w.withheld))
	maxServices := len(old.services)
	for i := range folds {
		maxServices += len(folds[i].totals.Services)
		fresh[folds[i].account] = &folds[i].totals
		accounts = append(accounts, folds[i].account)
	}
	for i := range old.rows {
		released[old.rows[i].Account] = &old.rows[i]
		accounts = append(accounts, old.rows[i].Account)
	}
	for a := range w.withheld {
		accounts = append(accounts, a)
	}
	accounts = append(accounts, w.expected.on(w.day)...)
	slices.Sort(accounts)
	accounts = slices.Compact(accounts)
	now = dayRows{rows: make([]lake.AccountDayRow, 0, len(accounts)), services: make([]lake.ServiceDayRow, 0, maxServices)}

	oldServices := old.services
	for _, a := range accounts {
		var own []lake.ServiceDayRow
		own, oldServices = inspect.ServicesOf(oldServices, a)
		_, dirty := w.dirty[a]
		_, touched := w.touched[a]
		was := released[a]
		if !w.all && !dirty && !touched {
			if was != nil {
				r.kept = append(r.kept, a)
				now.rows = append(now.rows, *was)
				now.services = append(now.services, own...)
			}
			continue
		}
		totals := fresh[a]
		if totals == nil {
			totals = &rollup.Totals{}
		}
		before := len(now.services)
		now.services = b.appendServices(now.services, a, totals)
		content := inspect.AccountDay{Row: was, Services: own}
		if w.prev != nil {
			content.Reasons = append(slices.Clone(w.prev.Reasons), w.prev.Accounts[string(a)]...)
		}
		row, err := b.judge(w, a, content, now.services[before:], totals, r)
		if err != nil {
			return now, err
		}
		if row != nil {
			now.rows = append(now.rows, *row)
		} else {
			now.services = now.services[:before]
		}
	}
	return now, nil
}

// judge compares a recomputed account-day with the released one, appends the change to the ledger in r, and returns
// the new row, nil if there is none any more.
func (b *dayBuilder) judge(w *dayPlan, a billing.AccountID, was inspect.AccountDay, services []lake.ServiceDayRow, totals *rollup.Totals, r *dayResult) (*lake.AccountDayRow, error) {
	is := inspect.AccountDay{Services: services, Reasons: w.why(a, totals.Events)}
	if totals.Events > 0 || len(w.withheld[a]) > 0 || w.expected.has(a, w.day) {
		is.Row = b.nextRow(a, was.Row, totals, len(is.Reasons) == 0)
	}
	causes, dirty := w.dirty[a]
	switch {
	case w.prev == nil:
	case !inspect.NumbersDiffer(was, is):
		if !w.known {
			causes = nil // those of all its history
		}
	case !w.known:
		causes = []string{inspect.ReasonStateRebuilt}
	case !dirty:
		r.differ = append(r.differ, differLine(a, w.day, was.Row, totals))
		causes = []string{inspect.ReasonDamageRepaired}
	}
	change, changed, err := inspect.Change(billing.AccountDay{Tenant: b.tenant, Account: a, Day: w.day}, was, is, causes)
	if err != nil {
		return nil, err
	}
	if changed {
		r.changes = append(r.changes, change)
	}
	return is.Row, nil
}

// nextRow is an account-day's new row: its revision, previous total and time of publication change with the total and
// with data_complete.
func (b *dayBuilder) nextRow(a billing.AccountID, was *lake.AccountDayRow, totals *rollup.Totals, complete bool) *lake.AccountDayRow {
	if was == nil {
		return &lake.AccountDayRow{
			Tenant: b.tenant, Account: a, Total: totals.Total, Events: totals.Events,
			Complete: complete, PublishedAt: b.asOf, Revision: 1,
		}
	}
	next := *was
	next.Events, next.Complete = totals.Events, complete
	if was.Total != totals.Total || was.Complete != complete {
		next.Total, next.PublishedAt = totals.Total, b.asOf
		next.Previous, next.HasPrevious = was.Total, true
		next.Revision++
	}
	return &next
}

// appendServices appends the service-days of an account-day to rows.
func (b *dayBuilder) appendServices(rows []lake.ServiceDayRow, a billing.AccountID, totals *rollup.Totals) []lake.ServiceDayRow {
	for _, s := range totals.Services {
		rows = append(rows, lake.ServiceDayRow{Tenant: b.tenant, Account: a, Service: s.Service, Total: s.Total, Events: s.Events})
	}
	return rows
}

// writeTotals writes or links the two totals datasets of a day.
func (b *dayBuilder) writeTotals(w *dayPlan, old, now dayRows, r *dayResult) error {
	b.checkRows(w.day, now, &r.faults)
	if !w.forced && slices.Equal(old.rows, now.rows) {
		r.links = append(r.links, w.files[lake.AccountDays]...)
	} else if len(now.rows) > 0 {
		if _, err := b.build.WriteAccountDays(w.day, now.rows); err != nil {
			return fmt.Errorf("write account-days of %s: %w", w.day, err)
		}
	}
	if !w.forced && slices.Equal(old.services, now.services) {
		r.links = append(r.links, w.files[lake.ServiceDays]...)
	} else if len(now.services) > 0 {
		if _, err := b.build.WriteServiceDays(w.day, now.services); err != nil {
			return fmt.Errorf("write service-days of %s: %w", w.day, err)
		}
	}
	return nil
}

// describe fills the day's entry of the manifest.
func (b *dayBuilder) describe(w *dayPlan, now dayRows, r *dayResult) {
	r.entry.Day = w.day
	r.entry.CoveredSequence = b.head
	r.entry.AccountDays = int64(len(now.rows))
	r.entry.Reasons = w.reasons
	for i := range now.rows {
		row := &now.rows[i]
		r.accounts = append(r.accounts, row.Account)
		r.entry.Events += row.Events
		// A sum that overflows fails the gate service_totals_match, which adds the same rows.
		r.entry.Total, _ = r.entry.Total.Add(row.Total)
		if reasons := w.ofAccount(row.Account, row.Events); len(reasons) > 0 {
			if r.entry.Accounts == nil {
				r.entry.Accounts = map[string][]string{}
			}
			r.entry.Accounts[string(row.Account)] = reasons
		}
	}
	r.entry.Completeness = inspect.Complete
	if len(r.entry.Reasons) > 0 || len(r.entry.Accounts) > 0 {
		r.entry.Completeness = inspect.Incomplete
	}
	services := map[string]struct{}{}
	for i := range now.services {
		services[string(now.services[i].Service)] = struct{}{}
	}
	r.entry.Services = sortedKeys(services)
}

// differLine describes an account-day whose recomputed totals differ from the released row; was may be nil.
func differLine(a billing.AccountID, d billing.Day, was *lake.AccountDayRow, now *rollup.Totals) string {
	var b strings.Builder
	fmt.Fprintf(&b, "account %q on %s: ", a, d)
	if was == nil {
		b.WriteString("not released")
	} else {
		fmt.Fprintf(&b, "released %s of %d events", was.Total, was.Events)
	}
	fmt.Fprintf(&b, ", recomputed %s of %d events", now.Total, now.Events)
	return b.String()
}

// hexDigest is the text of a digest in a manifest.
func hexDigest(d billing.Digest) string { return hex.EncodeToString(d[:]) }

// sortedKeys are a set's members, ascending; nil for none.
func sortedKeys(set map[string]struct{}) []string {
	if len(set) == 0 {
		return nil
	}
	keys := make([]string, 0, len(set))
	for k := range set {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
