package inspect

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"

	"daybook/internal/billing"
	"daybook/internal/lake"
	"daybook/internal/rollup"
)

// Difference is one cell, or one row, in which a release and a file of expected
// totals differ.
type Difference struct {
	Day      string `json:"usage_date"`
	Account  string `json:"account_id,omitempty"`
	Service  string `json:"service_name,omitempty"`
	Column   string `json:"column"` // of the release; empty: the whole row
	Expected string `json:"expected,omitempty"`
	Released string `json:"released,omitempty"`
	What     string `json:"what"` // differs, missing (from the release), extra (not in the file)
	Line     int    `json:"line,omitempty"`
}

// The words of Difference.What.
const (
	differs = "differs"
	missing = "missing"
	extra   = "extra"
)

// Comparison is the result of comparing a release with a file of expected totals.
type Comparison struct {
	Tenant      billing.TenantID `json:"tenant_id"`
	Release     int              `json:"release"`
	Grain       Grain            `json:"grain"`
	Column      string           `json:"column"` // the file's money column
	Expected    int              `json:"rows_expected"`
	Released    int              `json:"rows_released"`
	Equal       int              `json:"rows_equal"`
	Total       billing.Money    `json:"total_usd"` // of the release's rows compared
	Differences []Difference     `json:"differences"`
}

// Err is ErrDifference when anything differs.
func (c *Comparison) Err() error {
	if len(c.Differences) == 0 {
		return nil
	}
	return fmt.Errorf("%w: release %d and the file differ in %d places", ErrDifference, c.Release, len(c.Differences))
}

// Compare compares a release (0: the newest) with a CSV file of expected totals, by day, account-day
// or account-service-day as its header says. A nil window compares all days. ErrUsage, lake.ErrNoRelease.
func Compare(s *lake.Series, n int, file io.Reader, columns Columns, w *lake.Window) (*Comparison, error) {
	e, err := readExpected(file, columns)
	if err != nil {
		return nil, err
	}
	m, err := s.Find(n)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(e.rows, func(key expectedKey, _ *expectedRow) bool { return !within(w, key.day) })
	c := &Comparison{Tenant: m.Tenant, Release: m.Release, Grain: e.grain, Column: e.column, Expected: len(e.rows), Differences: []Difference{}}
	for i := range m.Days {
		if m.Days[i].AccountDays == 0 || !within(w, m.Days[i].Day) {
			continue
		}
		if err := c.day(s, m, m.Days[i].Day, e); err != nil {
			return nil, err
		}
	}
	c.leftOver(e)
	return c, nil
}

// within reports whether a day is in a window; a nil window contains all days.
func within(w *lake.Window, d billing.Day) bool { return w == nil || w.From <= d && d <= w.To }

// day compares one released day.
func (c *Comparison) day(s *lake.Series, m *lake.Manifest, day billing.Day, e *expected) error {
	switch c.Grain {
	case ByServiceDay:
		rows, err := s.ReadServiceDays(m, day)
		if err != nil {
			return fmt.Errorf("read service-days of %s: %w", day, err)
		}
		for i := range rows {
			r := &rows[i]
			if err := c.row(e, expectedKey{day, string(r.Account), string(r.Service)}, r.Total, r.Events); err != nil {
				return err
			}
		}
	default:
		rows, err := s.ReadAccountDays(m, day)
		if err != nil {
			return fmt.Errorf("read account-days of %s: %w", day, err)
		}
		var sum billing.Money
		var events int64
		for i := range rows {
			r := &rows[i]
			if c.Grain == ByAccountDay {
				if err := c.row(e, expectedKey{day: day, account: string(r.Account)}, r.Total, r.Events); err != nil {
					return err
				}
				continue
			}
			var ok bool
			if sum, ok = sum.Add(r.Total); !ok {
				return fmt.Errorf("%s: %w", day, rollup.ErrOverflow)
			}
			events += r.Events
		}
		if c.Grain == ByDay {
			return c.row(e, expectedKey{day: day}, sum, events)
		}
	}
	return nil
}

// row compares one released row.
func (c *Comparison) row(e *expected, key expectedKey, money billing.Money, events int64) error {
	c.Released++
	var ok bool
	if c.Total, ok = c.Total.Add(money); !ok {
		return rollup.ErrOverflow
	}
	want := e.rows[key]
	if want == nil {
		if events == 0 {
			// A row that stands for withheld input alone, or for silence: no file of totals can know it.
			c.Released--
			return nil
		}
		c.differ(key, Difference{What: extra, Released: fmt.Sprintf("%s of %d events", money, events)})
		return nil
	}
	want.seen = true
	equal := true
	if !want.exact || want.money != money {
		equal = false
		c.differ(key, Difference{What: differs, Column: "total_cost_usd", Expected: want.text, Released: money.String(), Line: want.line})
	}
	if want.count >= 0 && want.count != events {
		equal = false
		c.differ(key, Difference{What: differs, Column: "event_count", Expected: fmt.Sprint(want.count), Released: fmt.Sprint(events), Line: want.line})
	}
	if equal {
		c.Equal++
	}
	return nil
}

// leftOver notes the file's rows that the release does not have, and sorts.
func (c *Comparison) leftOver(e *expected) {
	for key, want := range e.rows {
		if !want.seen {
			c.differ(key, Difference{What: missing, Expected: want.text, Line: want.line})
		}
	}
	slices.SortStableFunc(c.Differences, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Account, b.Account), cmp.Compare(a.Service, b.Service))
	})
}

func (c *Comparison) differ(key expectedKey, d Difference) {
	d.Day, d.Account, d.Service = key.day.String(), key.account, key.service
	c.Differences = append(c.Differences, d)
}
