package publish

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"daybook/internal/billing"
	"daybook/internal/inspect"
	"daybook/internal/lake"
)

// The names of the gates in manifests and metrics.
const (
	gateNullKey      = "null_key"
	gateNegative     = "negative_total"
	gateEmptyDay     = "empty_day"
	gateUniqueKey    = "unique_key"
	gateTotals       = "service_totals_match" // amounts of the datasets agree
	gateCounts       = "counts_reconcile"     // counts of events and rows agree
	gateLedger       = "ledger_reconciles"
	gateReadBack     = "read_back"
	gatePlacement    = "event_placement"
	gateRetractions  = "retractions"
	gateRestatements = "restatements"
	gateUnexpected   = "unexpected_change"
	gateDimension    = "dimension_key"
)

// gateNames are all gates, in the order in which they are reported.
var gateNames = []string{
	gateNullKey, gateNegative, gateEmptyDay, gateUniqueKey, gateTotals, gateCounts, gateLedger,
	gateReadBack, gatePlacement, gateRetractions, gateRestatements, gateUnexpected, gateDimension,
}

// maxNamed is how many rows a failed gate names.
const maxNamed = 20

// faults are the rows that fail each gate, one line a row.
type faults map[string][]string

// add adds a row that fails a gate. Only the first maxNamed rows of a gate are kept.
func (f *faults) add(gate, line string) {
	if *f == nil {
		*f = faults{}
	}
	if len((*f)[gate]) < maxNamed {
		(*f)[gate] = append((*f)[gate], line)
	}
}

// merge adds the lines of g.
func (f *faults) merge(g faults) {
	for gate, lines := range g {
		for _, line := range lines {
			f.add(gate, line)
		}
	}
}

// results are the verdicts of all gates.
func (f faults) results() []lake.GateResult {
	out := make([]lake.GateResult, 0, len(gateNames))
	for _, g := range gateNames {
		out = append(out, lake.GateResult{Gate: g, Passed: len(f[g]) == 0, Detail: f[g]})
	}
	return out
}

// err is ErrGate with each failed gate, its first line, and the release that remains current; nil when no gate
// failed. current may be nil.
func (f faults) err(current *lake.Manifest) error {
	var names, details []string
	for _, g := range gateNames {
		if lines := f[g]; len(lines) > 0 {
			detail := lines[0]
			if len(lines) > 1 {
				detail += fmt.Sprintf(" (and %d more)", len(lines)-1)
			}
			names, details = append(names, g), append(details, detail)
		}
	}
	if len(names) == 0 {
		return nil
	}
	remains := "there is still no release"
	if current != nil {
		remains = fmt.Sprintf("release %d remains current", current.Release)
	}
	return fmt.Errorf("%w %s; %s: %s", ErrGate, strings.Join(names, ", "), remains, strings.Join(details, "; "))
}

// checkRows checks the rows of a changed day: keys, signs and sums.
func (b *dayBuilder) checkRows(d billing.Day, now dayRows, f *faults) {
	services := now.services
	for i := range now.rows {
		row := &now.rows[i]
		if row.Account == "" {
			f.add(gateNullKey, fmt.Sprintf("account-day on %s without account_id", d))
		}
		if i > 0 && now.rows[i-1].Account >= row.Account {
			f.add(gateUniqueKey, fmt.Sprintf("account-day of %q on %s is there twice or out of order", row.Account, d))
		}
		if !b.negative && row.Total.Sign() < 0 {
			f.add(gateNegative, fmt.Sprintf("account %q on %s: total %s, and the policy of the tenant is to reject negative costs", row.Account, d, row.Total))
		}
		var own []lake.ServiceDayRow
		own, services = inspect.ServicesOf(services, row.Account)
		var sum billing.Money
		var events int64
		fits := true
		for j := range own {
			sum, fits = plus(sum, fits, own[j].Total)
			events += own[j].Events
			if own[j].Service == "" {
				f.add(gateNullKey, fmt.Sprintf("service-day of account %q on %s without service_name", row.Account, d))
			}
			if j > 0 && own[j-1].Service >= own[j].Service {
				f.add(gateUniqueKey, fmt.Sprintf("service-day of account %q, service %q on %s is there twice or out of order", row.Account, own[j].Service, d))
			}
		}
		if !fits {
			f.add(gateTotals, fmt.Sprintf("account %q on %s: the sum of its service-days overflows DECIMAL(38,18)", row.Account, d))
		} else if sum != row.Total {
			f.add(gateTotals, fmt.Sprintf("account %q on %s: total %s, its service-days sum to %s", row.Account, d, row.Total, sum))
		}
		if events != row.Events {
			f.add(gateCounts, fmt.Sprintf("account %q on %s: %d events, its service-days have %d", row.Account, d, row.Events, events))
		}
	}
}

// checkPlacement checks that no account-day whose events changed since its release keeps its released rows, and so
// that each event is in one account-day of the whole release.
//
// Why that is enough: a recomputed account-day has the events that the state has there, and the state has each event
// in one place. An account-day without a change since its release has the same events in the release and in the
// state, because a write that puts an event into an account-day, or takes one out of it, marks that account-day as
// changed in the same batch. So if every changed account-day is recomputed, the release is the state's due days, and
// an event that moved has left the one account-day and is in the other. The gate needs only what the plan has in
// memory anyway; Verify, which reads everything, does not rely on the markers.
func checkPlacement(changed map[billing.Day]map[billing.AccountID][]string, results []*dayResult, f *faults) {
	byDay := make(map[billing.Day]*dayResult, len(results))
	for _, r := range results {
		byDay[r.day] = r
	}
	for _, d := range slices.Sorted(maps.Keys(changed)) {
		r := byDay[d]
		for _, a := range slices.Sorted(maps.Keys(changed[d])) {
			reasons := cmp.Or(strings.Join(changed[d][a], ", "), "quarantine")
			if r == nil {
				f.add(gatePlacement, fmt.Sprintf("account %q on %s changed (%s) and is not in the release", a, d, reasons))
			} else if _, kept := slices.BinarySearch(r.kept, a); kept || r.linked {
				f.add(gatePlacement, fmt.Sprintf("account %q on %s changed (%s) and has the rows of an earlier release", a, d, reasons))
			}
		}
	}
}

// checkFiles compares the sums and counts of the datasets with each other and with the manifest's days, linked files
// included.
func checkFiles(m *lake.Manifest, f *faults) {
	type facts struct {
		sum      billing.Money
		overflow bool
		rows     int64
	}
	sums := map[billing.Day]map[lake.Dataset]*facts{}
	for i := range m.Files {
		file := &m.Files[i]
		if file.Day == nil || file.Sum == nil {
			continue
		}
		if sums[*file.Day] == nil {
			sums[*file.Day] = map[lake.Dataset]*facts{lake.Events: {}, lake.ServiceDays: {}, lake.AccountDays: {}}
		}
		s := sums[*file.Day][file.Dataset]
		var fits bool
		s.sum, fits = plus(s.sum, !s.overflow, *file.Sum)
		s.overflow = !fits
		s.rows += file.Rows
	}
	for i := range m.Days {
		day := &m.Days[i]
		of := sums[day.Day]
		if of == nil {
			if day.AccountDays != 0 {
				f.add(gateCounts, fmt.Sprintf("%s: %d account-days and no file", day.Day, day.AccountDays))
			}
			continue
		}
		for _, ds := range []lake.Dataset{lake.Events, lake.ServiceDays, lake.AccountDays} {
			s := of[ds]
			if s.overflow {
				f.add(gateTotals, fmt.Sprintf("%s: the sum of %s overflows DECIMAL(38,18)", day.Day, ds))
			} else if s.sum != day.Total {
				f.add(gateTotals, fmt.Sprintf("%s: %s sums to %s, the day's total is %s", day.Day, ds, s.sum, day.Total))
			}
		}
		if of[lake.Events].rows != day.Events {
			f.add(gateCounts, fmt.Sprintf("%s: %d events in files, %d in account-days", day.Day, of[lake.Events].rows, day.Events))
		}
		if of[lake.AccountDays].rows != day.AccountDays {
			f.add(gateCounts, fmt.Sprintf("%s: %d rows in daily_account_cost, %d account-days", day.Day, of[lake.AccountDays].rows, day.AccountDays))
		}
	}
}

// checkLedger compares the sum of the release's changes with the difference of the totals.
func checkLedger(prev, m *lake.Manifest, f *faults) {
	before, okBefore := total(prev)
	now, okNow := total(m)
	moved, okMoved := now.Sub(before)
	switch {
	case !okBefore || !okNow || !okMoved:
		f.add(gateLedger, "the release's total overflows DECIMAL(38,18)")
	case moved != m.Changes.Delta:
		f.add(gateLedger, fmt.Sprintf("the ledger's delta_usd sum to %s, the totals changed by %s (from %s to %s)", m.Changes.Delta, moved, before, now))
	}
}

// total is the sum of a release's days; 0 for no release.
func total(m *lake.Manifest) (sum billing.Money, ok bool) {
	if m == nil {
		return sum, true
	}
	for i := range m.Days {
		if sum, ok = sum.Add(m.Days[i].Total); !ok {
			return sum, false
		}
	}
	return sum, true
}

// checkEmptyDays finds days without events between days with events. The row of a silent account is no event.
func (t *tenantRun) checkEmptyDays(m *lake.Manifest, f *faults) {
	rows := map[billing.Day]bool{}
	var days []billing.Day
	for i := range m.Days {
		if sent(&m.Days[i]) > 0 {
			rows[m.Days[i].Day] = true
			days = append(days, m.Days[i].Day)
		}
	}
	if len(days) < 2 || t.cfg.AllowEmptyDays {
		return
	}
	for d := slices.Min(days); d <= slices.Max(days); d++ {
		if !rows[d] && !emptyDayAllowed(t.in.decisions, t.tenant, d) {
			f.add(gateEmptyDay, fmt.Sprintf("%s has no event, days before and after it have: allow it with a decision or --allow-empty-days if that is right", d))
		}
	}
}

// checkLimits compares the changes with the limits on retractions and restatements.
func checkLimits(limits *Limits, prev, m *lake.Manifest, changes []lake.ChangeRow, f *faults) {
	if prev != nil {
		var released int64
		for i := range prev.Days {
			released += prev.Days[i].AccountDays
		}
		if n := m.Changes.Retracted; n > limits.MaxRetracted && n*100 > released*limits.MaxRetractedPercent {
			f.add(gateRetractions, fmt.Sprintf("%d of %d released account-days would be retracted: raise --max-retracted or --max-retracted-percent if that is right", n, released))
			f.addChanges(changes, gateRetractions, lake.ChangeRetracted)
		}
	}
	if n := m.Changes.Restated + m.Changes.Retracted; limits.MaxRestatedDays >= 0 && n > limits.MaxRestatedDays {
		f.add(gateRestatements, fmt.Sprintf("%d account-days would be restated or retracted, the limit is %d", n, limits.MaxRestatedDays))
		f.addChanges(changes, gateRestatements, lake.ChangeRestated, lake.ChangeRetracted)
	}
	// The error is impossible here: Validate has parsed the limit.
	if limit, set, _ := limits.restatedUSD(); set && m.Changes.RestatedAbs.Cmp(limit) > 0 {
		f.add(gateRestatements, fmt.Sprintf("restatements would move %s dollars, the limit is %s", m.Changes.RestatedAbs, limit))
		f.addChanges(changes, gateRestatements, lake.ChangeRestated, lake.ChangeRetracted)
	}
}

// addChanges adds the ledger rows of the given kinds to the lines of a gate.
func (f *faults) addChanges(changes []lake.ChangeRow, gate string, kinds ...lake.ChangeKind) {
	for i := range changes {
		c := &changes[i]
		if slices.Contains(kinds, c.Kind) {
			f.add(gate, fmt.Sprintf("account %q on %s: %s, delta %s", c.Account, c.Day, c.Kind, c.Delta))
		}
	}
}
