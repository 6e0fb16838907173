package publish

import (
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"daybook/internal/billing"
	"daybook/internal/dedup"
	"daybook/internal/lake"
	"daybook/internal/state"
)

// dayPlan is what is known of a due day before it is computed.
type dayPlan struct {
	day   billing.Day
	prev  *lake.DayEntry // as released; nil: newly due
	files []lake.File    // of prev, by dataset and path

	// dirty are the account-days that changed since the release, with the words for why.
	dirty map[billing.AccountID][]string
	// known reports that the released rows are covered by this very state, so that an
	// account-day that is not dirty cannot have changed.
	known  bool
	forced bool // in a backfill's window: recomputed and written whether or not it changed

	reasons  []string                       // why no account-day of the day is complete
	withheld map[billing.AccountID][]string // why single ones are not
	touched  map[billing.AccountID]struct{} // those whose completeness, reasons or expectation differ, where not all
	expected expectations                   // accounts that should have sent something
	all      bool                           // every account-day is computed
	idle     bool                           // nothing to do: all files are linked
}

// plan is a tenant's due days, ascending, and how much there is to do.
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

// any reports whether there is a reason for a release.
func (w *plan) any() bool {
	return slices.ContainsFunc(w.days, func(d *dayPlan) bool { return !d.idle })
}

// planner finds a tenant's work.
type planner struct {
	in     *input
	tenant billing.TenantID
	cutoff TimeOfDay
	prev   *lake.Manifest // nil: no release yet
	window *Window        // nil: not a backfill
}

// plan reads markers and quarantine and says what each due day needs.
func (p *planner) plan() (*plan, error) {
	known, err := p.covered()
	if err != nil {
		return nil, err
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
			d, err := billing.ParseDay(p.prev.Days[i].Day)
			if err != nil {
				return nil, fmt.Errorf("manifest of release %d: %w", p.prev.Release, err)
			}
			at(d).prev = &p.prev.Days[i]
		}
		for _, f := range p.prev.Files {
			if f.Day == "" || f.Rows == 0 {
				continue // a file without rows only shows readers the columns
			}
			d, err := billing.ParseDay(f.Day)
			if err != nil {
				return nil, fmt.Errorf("manifest of release %d: %w", p.prev.Release, err)
			}
			at(d).files = append(at(d).files, f)
		}
	}
	if err := p.readMarkers(days, known, at); err != nil {
		return nil, err
	}
	w := &plan{changed: make(map[billing.Day]map[billing.AccountID][]string, len(days))}
	for d, day := range days {
		if len(day.dirty) > 0 {
			w.changed[d] = day.dirty
		}
	}
	if w.expected, err = p.expect(days); err != nil {
		return nil, fmt.Errorf("find the first day: %w", err)
	}
	p.shift(days, at, w.expected)
	for _, day := range days {
		p.judge(day)
		w.days = append(w.days, day)
		if day.prev == nil {
			w.newlyDue++
		}
		w.dirty += len(day.dirty) + len(day.touched)
	}
	slices.SortFunc(w.days, func(a, b *dayPlan) int { return int(a.day) - int(b.day) })
	return w, nil
}

// readMarkers notes in days what changed since they were released. Ranges of days are read at the same
// time: one marker stays for every account-day that ever was.
func (p *planner) readMarkers(days map[billing.Day]*dayPlan, known bool, at func(billing.Day) *dayPlan) error {
	covered := make(map[billing.Day]state.Sequence, len(days)) // of the released days
	for d, day := range days {
		if covered[d] = 0; known && day.prev != nil {
			covered[d] = state.Sequence(day.prev.CoveredSequence)
		}
	}
	released := slices.Sorted(maps.Keys(covered))
	bounds := []billing.Day{math.MinInt32}
	for i, cores := 1, runtime.GOMAXPROCS(0); i < cores && cores <= len(released); i++ {
		bounds = append(bounds, released[i*len(released)/cores])
	}
	var mu sync.Mutex // of days
	var g errgroup.Group
	for i, from := range bounds {
		upTo := billing.Day(math.MaxInt32)
		if i+1 < len(bounds) {
			upTo = bounds[i+1] - 1
		}
		g.Go(func() error {
			for m, err := range p.in.reader.Markers(p.tenant, from, upTo) {
				if err != nil {
					return fmt.Errorf("read markers: %w", err)
				}
				before, known := covered[m.AccountDay.Day]
				if m.Sequence <= before || !known && m.AccountDay.Day > p.in.lastDue {
					continue // as released, or not due yet
				}
				mu.Lock()
				at(m.AccountDay.Day).dirty[m.AccountDay.Account] = changesSince(&m, before)
				mu.Unlock()
			}
			return nil
		})
	}
	return g.Wait()
}

// judge decides what of a day is computed.
func (p *planner) judge(day *dayPlan) {
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
		if !still && !slices.Contains(reasons, reasonSilent) {
			day.touch(billing.AccountID(account))
		}
	}
	day.idle = len(day.dirty) == 0 && len(day.touched) == 0
}

// touch has an account-day computed.
func (d *dayPlan) touch(a billing.AccountID) {
	if d.touched == nil {
		d.touched = map[billing.AccountID]struct{}{}
	}
	d.touched[a] = struct{}{}
}

// accounts are the accounts to compute, ascending, where not all are.
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

// of are the files of one dataset.
func (d *dayPlan) of(ds lake.Dataset) []lake.File {
	var files []lake.File
	for _, f := range d.files {
		if f.Dataset == ds {
			files = append(files, f)
		}
	}
	return files
}

// why are the reasons for which one account-day with so many events is not complete.
func (d *dayPlan) why(a billing.AccountID, events int64) []string {
	return append(slices.Clone(d.reasons), d.ofAccount(a, events)...)
}

// ofAccount are those that are the account's own.
func (d *dayPlan) ofAccount(a billing.AccountID, events int64) []string {
	if len(d.withheld[a]) == 0 && events == 0 && d.expected.has(a, d.day) {
		return []string{reasonSilent}
	}
	return d.withheld[a]
}

// covered reports whether the newest release's covered sequences are of this
// state: the database is the same, and its journal still says at that sequence
// what it said then. The journal is chained, so that one digest stands for all
// sequences before it.
func (p *planner) covered() (bool, error) {
	if p.prev == nil || p.prev.Database != string(p.in.identity.Database) {
		return false, nil
	}
	digest, ok, err := p.in.reader.DigestAt(state.Sequence(p.prev.Covered))
	if err != nil {
		return false, fmt.Errorf("read journal digest: %w", err)
	}
	return ok && hex.EncodeToString(digest[:]) == p.prev.JournalDigest, nil
}

// changeWords are the words of the ledger for the changes of a marker, by bit.
var changeWords = [...]struct {
	change dedup.Change
	word   string
}{
	{dedup.Added, "new"},
	{dedup.Corrected, "corrected"},
	{dedup.MovedIn, "moved_in"},
	{dedup.MovedOut, "moved_out"},
	{dedup.Removed, "deleted"},
	{dedup.Withheld, "quarantine"},
}

// changesSince are the words for what happened to an account-day after a sequence.
func changesSince(m *state.Marker, covered state.Sequence) []string {
	words := make([]string, 0, 2)
	for bit, w := range changeWords {
		if m.Changes&w.change != 0 && m.BySequence[bit] > covered {
			words = append(words, w.word)
		}
	}
	return words
}
