package publish

import (
	"cmp"
	"fmt"
	"slices"

	"daybook/internal/billing"
	"daybook/internal/inspect"
	"daybook/internal/lake"
)

// dayPlan is what is to be computed of a due day, and why.
type dayPlan struct {
	day   billing.Day
	prev  *lake.DayEntry // as released; nil: newly due
	files dayFiles       // of prev

	// dirty are the account-days that changed since the release, with the reasons for the ledger.
	dirty map[billing.AccountID][]string
	// known reports that the release was made from this state, so that an account-day that is not dirty cannot have
	// changed. See knownTo.
	known  bool
	forced bool // in a backfill's window: recomputed and written whether or not it changed

	reasons  []string                       // why no account-day of the day is complete
	withheld map[billing.AccountID][]string // why single account-days are not
	touched  map[billing.AccountID]struct{} // account-days whose completeness, reasons or expectation changed; unused if all
	expected expectations                   // accounts that should have sent something
	all      bool                           // every account-day is computed
	idle     bool                           // nothing to do: all files are linked
}

// plan is a tenant's due days, ascending.
type plan struct {
	days []*dayPlan
	// changed are the account-days of due and of released days that changed since their release, with the reasons.
	changed map[billing.Day]map[billing.AccountID][]string
	// newlyDue counts days with account-days that no release has.
	newlyDue int
	// dirty counts account-days that changed or whose completeness did.
	dirty int
	// expected are the accounts that should have sent something.
	expected expectations
}

// any reports whether any day has to be computed.
func (w *plan) any() bool {
	return slices.ContainsFunc(w.days, func(d *dayPlan) bool { return !d.idle })
}

// planner makes the plan of a tenant.
type planner struct {
	in     *input
	tenant billing.TenantID
	cutoff TimeOfDay
	prev   *lake.Manifest // nil: no release yet
	window *Window        // nil: not a backfill
	// changes are what the scan for the order of tenants found; nil, or of another release: scanned again.
	changes *changes
}

// plan reads changes and quarantine and plans each due day.
func (p *planner) plan() (*plan, error) {
	known, err := knownTo(p.in, p.prev)
	if err != nil {
		return nil, err
	}
	covered := coveredDays(p.prev, known)
	if !p.changes.since(known, covered) {
		if p.changes, err = readChanges(p.in, p.tenant, known, covered); err != nil {
			return nil, err
		}
	}
	held, err := readWithheld(p.in.reader, p.tenant)
	if err != nil {
		return nil, err
	}
	days := map[billing.Day]*dayPlan{}
	at := func(d billing.Day) *dayPlan {
		if days[d] == nil {
			days[d] = &dayPlan{day: d, known: known, withheld: held[d], dirty: map[billing.AccountID][]string{}}
		}
		return days[d]
	}
	if p.prev != nil {
		for i := range p.prev.Days {
			at(p.prev.Days[i].Day).prev = &p.prev.Days[i]
		}
		for _, f := range p.prev.Files {
			if f.Day == nil || f.Rows == 0 {
				continue // a file without rows exists only for its columns
			}
			at(*f.Day).files.add(f)
		}
	}
	for d, accounts := range p.changes.days {
		at(d).dirty = accounts
	}
	w := &plan{changed: p.changes.days}
	if w.expected, err = p.expectations(days); err != nil {
		return nil, fmt.Errorf("find the first day: %w", err)
	}
	p.planExpected(days, at, w.expected)
	for _, day := range days {
		p.decide(day)
		w.days = append(w.days, day)
		if day.prev == nil {
			w.newlyDue++
		}
		w.dirty += len(day.dirty) + len(day.touched)
	}
	slices.SortFunc(w.days, func(a, b *dayPlan) int { return cmp.Compare(a.day, b.day) })
	return w, nil
}

// decide sets which account-days of a day are computed.
func (p *planner) decide(day *dayPlan) {
	day.reasons = p.in.dayReasons(p.tenant, day.day, p.cutoff)
	day.forced = p.window.contains(day.day)
	if day.prev == nil || !day.known || day.forced || !slices.Equal(day.reasons, day.prev.Reasons) {
		day.all = true
		return
	}
	for account, reasons := range day.withheld {
		if !slices.Equal(reasons, day.prev.Accounts[string(account)]) {
			day.touch(account)
		}
	}
	for account, reasons := range day.prev.Accounts {
		_, still := day.withheld[billing.AccountID(account)]
		if !still && !slices.Contains(reasons, inspect.ReasonSilent) {
			day.touch(billing.AccountID(account))
		}
	}
	day.idle = len(day.dirty) == 0 && len(day.touched) == 0
}

// touch adds an account-day to those that are computed.
func (d *dayPlan) touch(a billing.AccountID) {
	if d.touched == nil {
		d.touched = map[billing.AccountID]struct{}{}
	}
	d.touched[a] = struct{}{}
}

// accounts are the accounts to compute, ascending; used unless all are computed.
func (d *dayPlan) accounts() []billing.AccountID {
	accounts := make([]billing.AccountID, 0, len(d.dirty)+len(d.touched))
	for a := range d.dirty {
		accounts = append(accounts, a)
	}
	for a := range d.touched {
		if _, twice := d.dirty[a]; !twice {
			accounts = append(accounts, a)
		}
	}
	slices.Sort(accounts)
	return accounts
}

// dayFiles are a day's released files by dataset, those of a dataset by path.
type dayFiles map[lake.Dataset][]lake.File

func (f *dayFiles) add(file lake.File) {
	if *f == nil {
		*f = dayFiles{}
	}
	(*f)[file.Dataset] = append((*f)[file.Dataset], file)
}

// all are the files of all datasets.
func (f dayFiles) all() []lake.File {
	return slices.Concat(f[lake.AccountDays], f[lake.ServiceDays], f[lake.Events])
}

// why are the reasons for which an account-day with this number of events is not complete.
func (d *dayPlan) why(a billing.AccountID, events int64) []string {
	return append(slices.Clone(d.reasons), d.ofAccount(a, events)...)
}

// ofAccount are the reasons that concern this account-day only.
func (d *dayPlan) ofAccount(a billing.AccountID, events int64) []string {
	if len(d.withheld[a]) == 0 && events == 0 && d.expected.has(a, d.day) {
		return []string{inspect.ReasonSilent}
	}
	return d.withheld[a]
}
