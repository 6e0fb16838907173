package inspect

import (
	"fmt"
	"maps"
	"slices"

	"daybook/internal/billing"
	"daybook/internal/lake"
	"daybook/internal/rollup"
)

// AccountDay is the content of an account-day in one release.
type AccountDay struct {
	Row      *lake.AccountDayRow  // nil: the release has no such account-day
	Services []lake.ServiceDayRow // ascending by service
	// Reasons for which it is not complete, those of the whole day first. Without a row, those for which it would
	// not be complete.
	Reasons []string
}

// Change is the ledger's row for an account-day that was before in one release and is after in the next. The second
// result is false if the ledger has none, because nothing that it covers is different. Reasons of the row are the
// causes, then the reasons for incompleteness that are resolved, then, if completeness changed, those that hold now. A
// rollback resolves nothing: it goes back to a release that did not know them yet.
func Change(at billing.AccountDay, before, after AccountDay, causes []string) (lake.ChangeRow, bool, error) {
	c := lake.ChangeRow{Tenant: at.Tenant, Account: at.Account, Day: at.Day}
	was, is := before.Row, after.Row
	completeness := !slices.Equal(before.Reasons, after.Reasons)
	switch {
	case was == nil && is == nil:
		return c, false, nil
	case was == nil:
		c.Kind, completeness = lake.ChangeNew, true
	case is == nil:
		c.Kind = lake.ChangeRetracted
	case NumbersDiffer(before, after):
		c.Kind = lake.ChangeRestated
	case completeness:
		c.Kind = lake.ChangeCompleteness
	default:
		return c, false, nil
	}
	c.Reasons = slices.Clone(causes)
	if was != nil {
		c.Old, c.HasOld = was.Total, true
		if !slices.Contains(causes, ReasonRollback) {
			c.Reasons = append(c.Reasons, resolved(before.Reasons, after.Reasons)...)
		}
	}
	if is != nil {
		c.New, c.HasNew = is.Total, true
		if completeness {
			c.Reasons = append(c.Reasons, after.Reasons...)
		}
	}
	var ok bool
	if c.Delta, ok = c.New.Sub(c.Old); !ok {
		return c, false, fmt.Errorf("account %q on %s: %w", at.Account, at.Day, rollup.ErrOverflow)
	}
	return c, true, nil
}

// NumbersDiffer reports whether two contents of one account-day have different totals, event counts or service-days.
// A missing row has no events.
func NumbersDiffer(before, after AccountDay) bool {
	var was, is lake.AccountDayRow
	if before.Row != nil {
		was = *before.Row
	}
	if after.Row != nil {
		is = *after.Row
	}
	return was.Total != is.Total || was.Events != is.Events || !slices.Equal(before.Services, after.Services)
}

// Day is the content of one day of a release.
type Day struct {
	entry    *lake.DayEntry // nil: the release does not have the day
	rows     []lake.AccountDayRow
	services []lake.ServiceDayRow
}

// readDay reads a day of a release.
func readDay(s *lake.Series, m *lake.Manifest, entry *lake.DayEntry) (Day, error) {
	if entry == nil || entry.AccountDays == 0 {
		return Day{entry: entry}, nil
	}
	rows, err := s.ReadAccountDays(m, entry.Day)
	if err != nil {
		return Day{}, fmt.Errorf("read account-days of %s in release %d: %w", entry.Day, m.Release, err)
	}
	services, err := s.ReadServiceDays(m, entry.Day)
	if err != nil {
		return Day{}, fmt.Errorf("read service-days of %s in release %d: %w", entry.Day, m.Release, err)
	}
	return Day{entry, rows, services}, nil
}

// ServicesOf cuts the service-days of an account off the front of rows, which ascend by account like the accounts
// that are asked for one after the other.
func ServicesOf(rows []lake.ServiceDayRow, a billing.AccountID) (own, rest []lake.ServiceDayRow) {
	start := 0
	for start < len(rows) && rows[start].Account < a {
		start++
	}
	end := start
	for end < len(rows) && rows[end].Account == a {
		end++
	}
	return rows[start:end], rows[end:]
}

// take removes the account from the front of the day and returns its content.
func (d *Day) take(a billing.AccountID) AccountDay {
	var out AccountDay
	out.Services, d.services = ServicesOf(d.services, a)
	if len(d.rows) > 0 && d.rows[0].Account == a {
		out.Row, d.rows = &d.rows[0], d.rows[1:]
	}
	if d.entry != nil {
		out.Reasons = append(slices.Clone(d.entry.Reasons), d.entry.Accounts[string(a)]...)
	}
	return out
}

// Changes are the ledger's rows for going from release from to release to of a series, ascending by day and account;
// causes are the same for all of them. Days whose files and reasons are the same are not read.
func Changes(s *lake.Series, from, to *lake.Manifest, causes []string) ([]lake.ChangeRow, error) {
	before, after := contentOf(from), contentOf(to)
	days := make([]billing.Day, 0, len(before)+len(after))
	for d := range before {
		days = append(days, d)
	}
	for d := range after {
		days = append(days, d)
	}
	slices.Sort(days)
	var changes []lake.ChangeRow
	for _, d := range slices.Compact(days) {
		if before[d].same(after[d]) {
			continue
		}
		was, err := readDay(s, from, before[d].entry)
		if err != nil {
			return nil, err
		}
		is, err := readDay(s, to, after[d].entry)
		if err != nil {
			return nil, err
		}
		if changes, err = appendChanges(changes, billing.AccountDay{Tenant: from.Tenant, Day: d}, was, is, causes); err != nil {
			return nil, err
		}
	}
	return changes, nil
}

// appendChanges appends the changes of one day. Account of at is set here.
func appendChanges(changes []lake.ChangeRow, at billing.AccountDay, was, is Day, causes []string) ([]lake.ChangeRow, error) {
	for len(was.rows) > 0 || len(is.rows) > 0 {
		switch {
		case len(is.rows) == 0:
			at.Account = was.rows[0].Account
		case len(was.rows) == 0:
			at.Account = is.rows[0].Account
		default:
			at.Account = min(was.rows[0].Account, is.rows[0].Account)
		}
		c, changed, err := Change(at, was.take(at.Account), is.take(at.Account), causes)
		if err != nil {
			return nil, err
		}
		if changed {
			changes = append(changes, c)
		}
	}
	return changes, nil
}

// dayContent is what a manifest says of a day's totals.
type dayContent struct {
	entry *lake.DayEntry
	files []string // hashes of the totals' files, ascending
}

// same reports whether two manifests say the same of a day's totals and completeness.
func (c dayContent) same(other dayContent) bool {
	if c.entry == nil || other.entry == nil {
		return c.entry == other.entry
	}
	return slices.Equal(c.files, other.files) && slices.Equal(c.entry.Reasons, other.entry.Reasons) &&
		maps.EqualFunc(c.entry.Accounts, other.entry.Accounts, slices.Equal)
}

// contentOf is what a manifest says of each of its days.
func contentOf(m *lake.Manifest) map[billing.Day]dayContent {
	days := make(map[billing.Day]dayContent, len(m.Days))
	for i := range m.Days {
		days[m.Days[i].Day] = dayContent{entry: &m.Days[i]}
	}
	for _, f := range m.Files {
		if f.Day == nil || f.Rows == 0 || f.Dataset != lake.AccountDays && f.Dataset != lake.ServiceDays {
			continue
		}
		c := days[*f.Day]
		c.files = append(c.files, string(f.Dataset)+f.SHA256)
		days[*f.Day] = c
	}
	for _, c := range days {
		slices.Sort(c.files)
	}
	return days
}
