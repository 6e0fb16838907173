package inspect

import (
	"fmt"
	"slices"

	"daybook/internal/billing"
	"daybook/internal/lake"
)

// DayStatus says whether a usage date is released and complete.
type DayStatus struct {
	Release  int      `json:"release"` // the newest one; 0: none
	Complete bool     `json:"complete"`
	Reasons  []string `json:"reasons,omitempty"`
}

// Completeness looks a usage date up in the newest release: all of it, or with
// an account that account-day alone.
func Completeness(s *lake.Series, d billing.Day, account billing.AccountID) (DayStatus, error) {
	m, err := s.Current()
	if err != nil {
		return DayStatus{}, fmt.Errorf("read the newest release: %w", err)
	}
	if m == nil {
		return DayStatus{Reasons: []string{ReasonNoRelease}}, nil
	}
	status := DayStatus{Release: m.Release}
	same := func(e lake.DayEntry) bool { return e.Day == d }
	at := slices.IndexFunc(m.Days, same)
	if at < 0 || m.Days[at].AccountDays == 0 {
		status.Reasons = []string{ReasonNotReleased}
		if i := slices.IndexFunc(m.NotComplete, same); i >= 0 {
			status.Reasons = m.NotComplete[i].Reasons
		}
		return status, nil
	}
	entry := &m.Days[at]
	status.Reasons = slices.Clone(entry.Reasons)
	if account != "" {
		rows, err := s.ReadAccountDays(m, d)
		if err != nil {
			return status, fmt.Errorf("read account-days of %s: %w", d, err)
		}
		if !slices.ContainsFunc(rows, func(r lake.AccountDayRow) bool { return r.Account == account }) {
			status.Reasons = append(status.Reasons, ReasonNoEvents)
		}
		status.Reasons = append(status.Reasons, entry.Accounts[string(account)]...)
	} else {
		var all []string
		for _, reasons := range entry.Accounts {
			all = append(all, reasons...)
		}
		slices.Sort(all)
		status.Reasons = append(status.Reasons, slices.Compact(all)...)
	}
	status.Complete = len(status.Reasons) == 0
	return status, nil
}
